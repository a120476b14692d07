"""What the columns of a dataset hold: images, text, numbers; and labels, with their classes."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from wider.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset, Features

SPLITS = ("train", "test")  # those that every dataset has
IMAGES = ("image", "img")  # names of a column of encoded images
TEXT = "text"  # the name of a column of texts
SHOWN = 5  # classes that a message names

Labels = Int64[Tensor, "images"]


def has_images(features: "Features") -> bool:
    """Whether a dataset with such columns is one of images, be it clear which column they are."""
    from datasets import Image  # noqa: PLC0415

    return any(isinstance(feature, Image) for feature in features.values()) or any(
        column in features and _holds_encoded_images(features[column]) for column in IMAGES
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
    for column in IMAGES:
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
    check_filled(rows, column, f"{split} of {location}", noun="Image")
    return column, rows


def has_text(features: "Features") -> bool:
    """Whether a dataset with such columns has one of texts."""
    return is_text(features.get(TEXT))


def is_text(feature: Any) -> bool:
    """Whether a column of such a type holds text."""
    return dtype_of(feature) in ("string", "large_string")


def is_numeric(feature: Any) -> bool:
    """Whether a column of such a type holds numbers."""
    return dtype_of(feature).startswith(("int", "uint", "float", "bool"))


def dtype_of(feature: Any) -> str:
    """The type of a column's cells; "list" where they are no single values."""
    return str(getattr(feature, "dtype", "list"))


def check_filled(rows: "Dataset", column: str, place: str, *, noun: str = "Row") -> None:
    """Does nothing if every row has something in a column.

    Args:
        rows: that have the column.
        column: its name.
        place: where the rows are, for the message.
        noun: what a row is, for the message.

    Raises:
        InputError: one has nothing there.
    """
    cells = rows.data.column(column)
    if cells.null_count:
        raise InputError(
            f"{noun} {cells.is_null().index(True).as_py()} of {place}, column {column!r}, is "
            "missing: fill it in or leave its row out."
        )


def listed(features: "Features") -> str:
    """The names of columns, for messages."""
    return ", ".join(repr(column) for column in features)


class Labelled(NamedTuple):
    """What the labels of both splits say.

    Attributes:
        labels: of each split, from 0 to the number of classes less one.
        classes: the name of each class, in label order.
        notes: what a user should know of the classes.
    """

    labels: dict[str, Labels]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def labels_of(splits: "Mapping[str, Dataset]", location: str) -> Labelled:
    """Reads the labels of the images of both splits; see `labels_in`."""
    columns = {split: label_column(splits[split].features, location) for split in SPLITS}
    return labels_in(splits, columns, location, "image")


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
    kind = dtype_of(features[column])
    if not kind.startswith(("int", "uint")):
        raise InputError(
            f"The labels of {location}, column {column!r}, are of type {kind}. "
            "Store them as whole numbers from 0, or as a ClassLabel."
        )
    return column


def labels_in(
    splits: "Mapping[str, Dataset]", columns: Mapping[str, str], location: str, noun: str
) -> Labelled:
    """Reads the labels of both splits; classes with names are known by them.

    Args:
        splits: "train" and "test".
        columns: which of each split are the labels: whole numbers, of a ClassLabel or plain, or
            the names of classes, which then are in the order of the names as text.
        location: where the dataset lies, for messages.
        noun: what has a label, for messages.

    Raises:
        InputError: there are some that stand for no class, or test examples of a class that
            training does not have.
    """
    names = {split: _names(splits[split], columns[split]) for split in SPLITS}
    stored = {
        split: _stored_labels(splits[split], split, columns[split], names[split], noun)
        for split in SPLITS
    }
    train, test = names["train"], names["test"]
    if train is None and test is None:
        return _numbered(stored, location, noun)
    if train is None or test is None:
        named, plain = ("test", "train") if train is None else ("train", "test")
        raise InputError(
            f"The labels of {named} of {location} have the names of classes, and those of {plain} "
            "are plain numbers: give both splits the same ClassLabel."
        )
    _check_one_form(train, location)
    labels = {
        "train": stored["train"],
        "test": _mapped(stored["test"], test, train, location, noun),
    }
    return Labelled(labels, train, _notes(train, labels["train"], noun))


def _holds_encoded_images(feature: Any) -> bool:
    from datasets import Image, Value  # noqa: PLC0415

    plain = (Value("binary"), {"bytes": Value("binary"), "path": Value("string")})
    return isinstance(feature, Image) or feature in plain


def _names(dataset: "Dataset", column: str) -> tuple[str, ...] | None:
    from datasets import ClassLabel  # noqa: PLC0415

    feature = dataset.features[column]
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    if is_text(feature):
        return tuple(sorted(set(dataset[column][:]) - {None}))
    return None


def _stored_labels(
    dataset: "Dataset", split: str, column: str, names: tuple[str, ...] | None, noun: str
) -> Labels:
    labels = dataset[column][:]
    if names is not None and is_text(dataset.features[column]):
        places = {name: place for place, name in enumerate(names)}
        labels = [places.get(label) for label in labels]
    allowed = "from 0" if names is None else f"from 0 to {len(names) - 1}"
    for index, label in enumerate(labels):
        if label is None or label < 0 or (names is not None and label >= len(names)):
            raise InputError(
                f"The label of {noun} {index} of {split}, in column {column!r}, is {label}. "
                f"Labels must be whole numbers {allowed}: correct it or leave it out."
            )
    return torch.tensor(labels, dtype=torch.int64)


def _numbered(labels: dict[str, Labels], location: str, noun: str) -> Labelled:
    """Classes that are their numbers: each number up to the highest has to be one of them."""
    train, test = (set(labels[split].tolist()) for split in SPLITS)
    gaps = sorted(set(range(len(train))) - train)
    if gaps:
        raise InputError(
            f"The labels of train of {location} are {len(train)} different numbers from "
            f"{min(train)} to {max(train)}, and no {noun} has the label {gaps[0]}; a net would "
            f"have an output for it. Number the classes from 0 to {len(train) - 1}."
        )
    if test - train:
        raise InputError(
            f"No {noun} of train of {location} has the label {min(test - train)}, which {noun}s of "
            f"test have. Labels of train are 0 to {len(train) - 1}: leave these {noun}s out."
        )
    return Labelled(labels, tuple(str(label) for label in range(len(train))), ())


def _mapped(
    labels: Labels, names: tuple[str, ...], classes: tuple[str, ...], location: str, noun: str
) -> Labels:
    """The same classes by their places in `classes`."""
    places = {name: place for place, name in enumerate(classes)}
    unknown = [names[label] for label in labels.unique().tolist() if names[label] not in places]
    if unknown:
        raise InputError(
            f"Test {noun}s of {location} are of classes that train does not have: "
            f"{_listed(unknown, repr if str(unknown).isascii() else ascii)}. Those of train are "
            f"{_listed(classes, repr)}. Rename these classes or leave their {noun}s out."
        )
    return torch.tensor([places.get(name, -1) for name in names])[labels]


def _check_one_form(classes: tuple[str, ...], location: str) -> None:
    for one, other in _alike(classes, lambda name: unicodedata.normalize("NFC", name)):
        raise InputError(
            f"Two classes of {location} have the same name, written in Unicode in two ways: "
            f"{one!a} and {other!a}. Give them one name or two different ones."
        )


def _notes(classes: tuple[str, ...], train: Labels, noun: str) -> tuple[str, ...]:
    notes = [
        f"classes {one!r} and {other!r} have almost the same name; they count as two"
        for one, other in _alike(
            classes, lambda name: unicodedata.normalize("NFKC", name).strip().casefold()
        )
    ]
    absent = sorted(set(range(len(classes))) - set(train.tolist()))
    if absent:
        named = _listed([classes[label] for label in absent], repr)
        notes.append(
            f"{len(absent)} of the {len(classes)} classes have no training {noun} ({named}), and "
            "nets have an output for each of them all the same"
        )
    return tuple(notes)


def _alike(names: Sequence[str], key: Callable[[str], str]) -> list[tuple[str, str]]:
    """Names of one key, each with the first of that key."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault(key(name), name), name) for name in names]
    return [(one, other) for one, other in pairs if one != other]


def _listed(names: Sequence[str], shown: Callable[[str], str]) -> str:
    return ", ".join(map(shown, names[:SHOWN])) + (", ..." if names[SHOWN:] else "")
