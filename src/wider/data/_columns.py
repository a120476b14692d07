"""Which column of a dataset holds the images, and which the labels."""

from typing import TYPE_CHECKING, Any

from wider.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset, Features

NAMES = ("image", "img")  # of a column of encoded images


def has_images(features: "Features") -> bool:
    """Whether a dataset with such columns is one of images, be it clear which column they are."""
    from datasets import Image  # noqa: PLC0415

    return any(isinstance(feature, Image) for feature in features.values()) or any(
        column in features and _holds_encoded_images(features[column]) for column in NAMES
    )


def image_column(features: "Features", location: str) -> str:
    """Finds the column of images.

    Args:
        features: the dataset's columns with their types.
        location: where the dataset lies, for the message.

    Returns:
        The only column of type Image, or else "image" or "img" if that holds encoded images.

    Raises:
        InputError: if there is no such column.
    """
    from datasets import Image  # noqa: PLC0415

    declared = [column for column, feature in features.items() if isinstance(feature, Image)]
    if len(declared) == 1:
        return declared[0]
    for column in NAMES:
        if column in features and _holds_encoded_images(features[column]):
            return column
    raise InputError(
        f"The dataset {location} has the columns {listed(features)}, and none is clearly that of "
        "the images. Give one column the type Image, or store encoded images as 'image' or 'img'."
    )


def image_rows(dataset: "Dataset", split: str, location: str) -> tuple[str, "Dataset"]:
    """The encoded images of a split.

    Args:
        dataset: the split.
        split: its name, for the message.
        location: where the dataset lies, for the message.

    Returns:
        The name of the column of images, and the split with nothing but that column, in which each
        image is its "bytes", or None and a "path".

    Raises:
        InputError: there is no such column, or it lacks an image.
    """
    import datasets  # noqa: PLC0415

    column = image_column(dataset.features, location)
    # Decoded by us and not by datasets, so that a bad image can be named by its index.
    rows = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    nulls = rows.data.column(column).is_null()
    if rows.data.column(column).null_count:
        raise InputError(
            f"Image {nulls.index(True).as_py()} of {split} of {location}, in column {column!r}, is "
            "missing: put it there or leave its row out."
        )
    return column, rows


def label_column(features: "Features", location: str) -> str:
    """Finds the column of labels.

    Args:
        features: the dataset's columns with their types.
        location: where the dataset lies, for the message.

    Returns:
        "label", or else "fine_label" (as in CIFAR-100), or else the only column of type ClassLabel.

    Raises:
        InputError: if there is no such column or if it does not hold whole numbers.
    """
    from datasets import ClassLabel  # noqa: PLC0415

    named = [column for column in ("label", "fine_label") if column in features]
    declared = [column for column, feature in features.items() if isinstance(feature, ClassLabel)]
    if not named and len(declared) != 1:
        raise InputError(
            f"The dataset {location} has the columns {listed(features)}, and none is clearly that "
            "of the labels. Name it 'label', or give just one column the type ClassLabel."
        )
    column = (named or declared)[0]
    kind = getattr(features[column], "dtype", "list")
    if not kind.startswith(("int", "uint")):
        raise InputError(
            f"The labels of {location}, column {column!r}, are of type {kind}. "
            "Store them as whole numbers from 0, or as a ClassLabel."
        )
    return column


def _holds_encoded_images(feature: Any) -> bool:
    from datasets import Image, Value  # noqa: PLC0415

    plain = (Value("binary"), {"bytes": Value("binary"), "path": Value("string")})
    return isinstance(feature, Image) or feature in plain


def listed(features: "Features") -> str:
    """The names of columns, for messages."""
    return ", ".join(repr(column) for column in features)
