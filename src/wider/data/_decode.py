"""Turning stored, encoded images into tensors."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from wider.data._columns import has_images, image_rows
from wider.data._images import ImageData, Split, content_digest
from wider.data._kinds import KINDS, Kind, Reading, Splits, Stored
from wider.data._labels import SPLITS, labels_of
from wider.data._overlap import overlap
from wider.data._pixels import BadImageError, content_of, decoded
from wider.errors import InputError

MOST_PIXELS = 2**22  # of an image, as all of them are held in memory

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


def _decoded(
    name: str,
    splits: Splits,
    location: str,
    reading: Reading,  # noqa: ARG001
) -> ImageData:
    labels, classes, notes = labels_of(splits, location)
    images, encoding = _images(splits, location)
    train, test = (Split(images[split], labels[split]) for split in SPLITS)
    both = overlap(*([_digest(image) for image in split.images] for split in (train, test)))
    digest = content_digest(classes, train, test)
    return ImageData(name, classes, encoding, train, test, digest, (*notes, *both))


def _stored(data: ImageData) -> Stored:
    tensors = {
        "train.images": data.train.images,
        "train.labels": data.train.labels,
        "test.images": data.test.images,
        "test.labels": data.test.labels,
    }
    return tensors, {"classes": data.classes, "encoding": data.encoding, "notes": data.notes}


def _restored(name: str, tensors: dict[str, Tensor], about: dict[str, Any]) -> ImageData:
    train, test = (
        Split(tensors[f"{split}.images"], tensors[f"{split}.labels"]) for split in SPLITS
    )
    classes, notes = tuple(about["classes"]), tuple(about["notes"])
    digest = content_digest(classes, train, test)
    return ImageData(name, classes, about["encoding"], train, test, digest, notes)


KINDS.register("images")(
    Kind(
        ImageData,
        has_images,
        "images, in one column of type Image, or encoded in 'image' or 'img'",
        _decoded,
        _stored,
        _restored,
    )
)


def _images(
    splits: Splits, location: str
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
