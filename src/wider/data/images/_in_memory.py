"""A dataset of images of one size: its images and labels in memory, decoded from files."""

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from wider.data._columns import SPLITS, has_images, image_rows, labels_of
from wider.data._dataset import Dataset, Preprocessing, digest_of
from wider.data._kinds import KINDS, Kind, Reading, Splits, split_tensors, splits_of
from wider.data._transformations import TransformationSpec, transformed_task
from wider.data.images._files import BadImageError, content_of, decoded
from wider.errors import InputError
from wider.tasks import Task

MOST_PIXELS = 2**22  # of an image, as all of them are held in memory

Pixels = UInt8[Tensor, "images channels height width"]
Picture = UInt8[np.ndarray, "height width *three"]


@dataclass(frozen=True, eq=False)
class Images:
    """The images of one split with their labels, in the order in which they were stored.

    Args:
        images: pixel values from 0 (black) to 255.
        labels: one class for each image, from 0 to the number of classes less one.
    """

    images: Pixels
    labels: Int64[Tensor, "images"]


@dataclass(frozen=True, eq=False)
class ImageData(Dataset):
    """A dataset of images of one size, in memory.

    Args:
        name: the name that was asked for, such as "mnist".
        classes: the name of each class, in label order.
        encoding: the file format in which the images were stored, in lower case: "png", "jpeg";
            "array" where they were plain numbers, "mixed" where they were of several formats.
        train: the images to learn from.
        test: the images to test on.
        digest: SHA-256, as hexadecimal digits, of the class names and of both splits.
        notes: what a user should know before training, such as test images that are training
            images, too; the command line shows them.
        transformations: that are done to the scaled images; what they leave is the task.
    """

    kind: ClassVar[str] = "images of one size"
    fields: ClassVar[frozenset[str]] = frozenset(
        {
            "normalisation", "num_train", "num_validation", "scaled_by", "split_seed",
            "classes", "grey", "shrunk_to", "transformations",
        }
    )  # fmt: skip

    name: str
    classes: tuple[str, ...]
    encoding: str
    train: Images
    test: Images
    digest: str
    notes: tuple[str, ...] = ()
    transformations: tuple[TransformationSpec, ...] = ()

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def num_train(self) -> int:
        """How many training images there are."""
        return len(self.train.labels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image; the last two in pixels."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    @property
    def task(self) -> Task:
        """See `Dataset`."""
        task = Task.of_images(self.image_shape, self.num_classes)
        return transformed_task(task, self.transformations)

    def adapted(self, preprocessing: Preprocessing) -> Self:
        """See `Dataset`."""
        return replace(self, transformations=preprocessing.transformations)

    @property
    def num_features(self) -> int:
        """How many numbers one image holds."""
        return self.train.images[0].numel()


def image_data(
    name: str,
    *,
    classes: Sequence[str],
    train: Images,
    test: Images,
    encoding: str = "array",
    notes: Sequence[str] = (),
) -> ImageData:
    """Images with their digest; arguments as of `ImageData`."""
    digest = image_digest(classes, train, test)
    return ImageData(name, tuple(classes), encoding, train, test, digest, tuple(notes))


def image_digest(classes: Sequence[str], train: Images, test: Images) -> str:
    """What identifies images of some classes; see `digest_of`."""
    return digest_of(list(classes), (train.images, train.labels, test.images, test.labels))


def overlap(train: Iterable[Hashable], test: Sequence[Hashable]) -> tuple[str, ...]:
    """A note of the test images that are training images, too; none if there are none.

    Args:
        train: something of each training image that equal images share, such as a digest.
        test: the same of each test image.
    """
    places = {image: place for place, image in enumerate(train)}
    found = [(place, places[image]) for place, image in enumerate(test) if image in places]
    if not found:
        return ()
    place, same = found[0]
    return (
        f"{len(found):,} of {len(test):,} test images are training images, too, such as test image "
        f"{place}, which is training image {same}",
    )


def _decoded(
    name: str,
    splits: Splits,
    location: str,
    reading: Reading,  # noqa: ARG001
) -> ImageData:
    labels, classes, notes = labels_of(splits, location)
    images, encoding = _images(splits, location)
    train, test = (Images(images[split], labels[split]) for split in SPLITS)
    both = overlap(*([_digest(image) for image in split.images] for split in (train, test)))
    return image_data(
        name, classes=classes, train=train, test=test, encoding=encoding, notes=(*notes, *both)
    )


def _images(splits: Splits, location: str) -> tuple[dict[str, Pixels], str]:
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


def _stacked(pictures: Iterable[Picture], has_colour: bool) -> Pixels:
    if not has_colour:
        return torch.from_numpy(np.stack(list(pictures))).unsqueeze(1)
    coloured = [
        pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
        for pixels in pictures
    ]
    return torch.from_numpy(np.stack(coloured)).permute(0, 3, 1, 2).contiguous()


def _digest(image: UInt8[Tensor, "channels height width"]) -> bytes:
    return hashlib.blake2b(image.numpy().data, digest_size=16).digest()


class _Decoder:
    """Decodes image after image and remembers what they must have in common."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.size: tuple[int, ...] | None = None
        self.encodings: set[str] = set()
        self.has_colour = False

    def decode(self, record: dict[str, Any], place: str) -> Picture:
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


def _restored(name: str, tensors: dict[str, Tensor], **about: Any) -> ImageData:
    return image_data(name, **splits_of(Images, tensors), **about)


KINDS.register("images")(
    Kind(
        ImageData,
        fits=has_images,
        needs="images, in one column of type Image, or encoded in 'image' or 'img'",
        decode=_decoded,
        tensors=split_tensors,
        about=("classes", "encoding", "notes"),
        restored=_restored,
    )
)
