"""Turning stored, encoded images into tensors."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from wider.data._columns import image_rows
from wider.data._images import Split
from wider.data._labels import SPLITS, labels_of
from wider.data._overlap import overlap
from wider.data._pixels import BadImageError, content_of, decoded
from wider.data._sources import Source, opened
from wider.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

MOST_PIXELS = 2**22  # of an image, as all of them are held in memory

Pixels = UInt8[np.ndarray, "height width *three"]


class Decoded(NamedTuple):
    """A dataset as it is decoded.

    Attributes:
        classes: the name of each class, in label order.
        encoding: the images' file format.
        train: the images to learn from.
        test: the images to judge by.
        notes: what a user should know of the dataset.
    """

    classes: tuple[str, ...]
    encoding: str
    train: Split
    test: Split
    notes: tuple[str, ...]


class _Decoder:
    """Decodes image after image and remembers what they must have in common."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.size: tuple[int, ...] | None = None
        self.encodings: set[str] = set()
        self.has_colour = False

    def decode(self, record: dict[str, Any], place: str) -> Pixels:
        """Decodes one image, grey or in colour as it is; `place` says which one it is."""
        if record["path"]:
            place = f"{place} ({record['path']})"
        try:
            image, encoding = decoded(content_of(record), most_pixels=MOST_PIXELS)
        except (BadImageError, OSError) as error:
            raise InputError(
                f"{place} of {self.location} cannot be used: {error}. Store it again as an 8-bit "
                "PNG or JPEG, or leave it out; large images are for `wider prepare`."
            ) from error
        pixels = np.asarray(image)
        self._check_size(pixels.shape[:2], place)
        self.encodings.add(encoding)
        self.has_colour |= image.mode == "RGB"
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


def decode(source: Source) -> Decoded:
    """Reads and decodes all images and labels of a source.

    Args:
        source: a folder or a dataset on the Hugging Face Hub.

    Raises:
        InputError: as `wider.data.load`.
    """
    with opened(source) as splits:
        _check_splits(splits, source.location)
        labels, classes, notes = labels_of(splits, source.location)
        images, encoding = _images(splits, source.location)
    train, test = (Split(images[split], labels[split]) for split in SPLITS)
    both = overlap(*([_digest(image) for image in split.images] for split in (train, test)))
    return Decoded(classes, encoding, train, test, (*notes, *both))


def _check_splits(splits: "Mapping[str, Dataset]", location: str) -> None:
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
    splits: "Mapping[str, Dataset]", location: str
) -> tuple[dict[str, UInt8[Tensor, "images channels height width"]], str]:
    decoder = _Decoder(location)
    pictures = {}
    for split in SPLITS:
        column, rows = image_rows(splits[split], split, location)
        pictures[split] = [
            decoder.decode(record, f"Image {index} of {split}")
            for index, record in enumerate(rows[column][:])
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


def _digest(image: UInt8[Tensor, "channels height width"]) -> bytes:
    return hashlib.blake2b(image.numpy().data, digest_size=16).digest()
