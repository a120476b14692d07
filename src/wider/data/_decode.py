"""Turning stored, encoded images into tensors."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from wider.data._columns import image_column, label_column
from wider.data._images import Split
from wider.data._modes import COLOUR_MODES, GREY_MODES
from wider.data._sources import Source, opened
from wider.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

SPLITS = ("train", "test")
# Above this, whole numbers are taken for something else than labels.
MOST_CLASSES = 100_000

Pixels = UInt8[np.ndarray, "height width *three"]


class _Decoder:
    """Decodes image after image and remembers what they must have in common."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.size: tuple[int, ...] | None = None
        self.encodings: set[str] = set()
        self.has_colour = False

    def decode(self, record: dict[str, Any], place: str) -> Pixels:
        """Decodes one image, grey or in colour as it is; `place` says which one it is."""
        try:
            stored = record["bytes"]
            with PIL.Image.open(record["path"] if stored is None else io.BytesIO(stored)) as image:
                encoding, mode = str(image.format).lower(), image.mode
                # Cameras store photographs lying on their side and note which way is up.
                PIL.ImageOps.exif_transpose(image, in_place=True)
                pixels = np.asarray(image.convert("L" if mode in GREY_MODES else "RGB"))
        except Exception as error:  # Pillow raises whatever its decoders raise
            raise InputError(
                f"{place} of {self.location} cannot be decoded: {error} "
                "Store it again as PNG or JPEG, or leave it out."
            ) from error
        if mode not in GREY_MODES | COLOUR_MODES:
            raise InputError(
                f"{place} of {self.location} has pixels of mode {mode}. Only 8 bits for each "
                "channel are allowed: convert it to an 8-bit PNG."
            )
        self._check_size(pixels.shape[:2], place)
        self.encodings.add(encoding)
        self.has_colour |= mode in COLOUR_MODES
        return pixels

    def _check_size(self, size: tuple[int, ...], place: str) -> None:
        self.size = self.size or size
        if size != self.size:
            raise InputError(
                f"The images of {self.location} are not of one size: {place} has "
                f"{size[0]}x{size[1]} pixels (height x width), those before it "
                f"{self.size[0]}x{self.size[1]}. Resize or crop them all to one size; or, if they "
                "are large, prepare them with `wider prepare` and train with an image_size."
            )


def decode(source: Source) -> tuple[tuple[str, ...], str, Split, Split]:
    """Reads and decodes all images and labels of a source.

    Args:
        source: a folder or a dataset on the Hugging Face Hub.

    Returns:
        The class names, the images' file format, the training and the test split.

    Raises:
        InputError: as `wider.data.load`.
    """
    with opened(source) as splits:
        _check_splits(splits, source.location)
        images, encoding = _images(splits, source.location)
        labels, classes = labels_of(splits, source.location)
    train, test = (Split(images[split], labels[split]) for split in SPLITS)
    return classes, encoding, train, test


def _check_splits(splits: "DatasetDict", location: str) -> None:
    for split in SPLITS:
        if split not in splits:
            raise InputError(
                f"The dataset {location} has no split {split!r}, only "
                f"{', '.join(map(repr, splits))}. Name its splits 'train' and 'test': as "
                "train.parquet and test.parquet, or as folders of these names."
            )
        if len(splits[split]) == 0:
            raise InputError(
                f"The split {split!r} of {location} is empty. Put at least one image into it."
            )


def _images(
    splits: "DatasetDict", location: str
) -> tuple[dict[str, UInt8[Tensor, "images channels height width"]], str]:
    import datasets  # noqa: PLC0415

    column = image_column(splits["train"].features, location)
    decoder = _Decoder(location)
    pictures = {}
    for split in SPLITS:
        # Decoded here and not by datasets, so that a bad image can be named by its index.
        records = splits[split].cast_column(column, datasets.Image(decode=False))
        pictures[split] = [
            decoder.decode(record, f"Image {index} of {split}")
            for index, record in enumerate(records[column][:])
        ]
    encoding = decoder.encodings.pop() if len(decoder.encodings) == 1 else "mixed"
    return {split: _stacked(pictures[split], decoder.has_colour) for split in SPLITS}, encoding


def _stacked(
    pictures: Iterable[Pixels], has_colour: bool
) -> UInt8[Tensor, "images channels height width"]:
    if not has_colour:
        return torch.from_numpy(np.stack(list(pictures))).unsqueeze(1)
    coloured = [
        pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
        for pixels in pictures
    ]
    return torch.from_numpy(np.stack(coloured)).permute(0, 3, 1, 2).contiguous()


def labels_of(
    splits: "DatasetDict | dict[str, Dataset]", location: str
) -> tuple[dict[str, Int64[Tensor, "images"]], tuple[str, ...]]:
    """Reads the labels of both splits.

    Args:
        splits: "train" and "test".
        location: where the dataset lies, for messages.

    Returns:
        Labels from 0 for each split, and the names of all classes.

    Raises:
        InputError: there are no labels, or some that stand for no class.
    """
    from datasets import ClassLabel  # noqa: PLC0415

    features = splits["train"].features
    column = label_column(features, location)
    feature = features[column]
    names = tuple(feature.names) if isinstance(feature, ClassLabel) else None
    limit = MOST_CLASSES if names is None else len(names)
    labels = {split: _checked_labels(splits[split], split, column, limit) for split in SPLITS}
    if names is None:
        highest = max(int(labels[split].max()) for split in SPLITS)
        names = tuple(str(label) for label in range(highest + 1))
    return labels, names


def _checked_labels(
    dataset: "Dataset", split: str, column: str, limit: int
) -> Int64[Tensor, "images"]:
    labels = dataset[column][:]
    for index, label in enumerate(labels):
        if label is None or not 0 <= label < limit:
            raise InputError(
                f"The label of image {index} of {split}, in column {column!r}, is {label}. "
                f"Labels must be whole numbers from 0 to {limit - 1}: correct it or leave it out."
            )
    return torch.tensor(labels, dtype=torch.int64)
