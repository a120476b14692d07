"""A decoded dataset: its images, its labels and what identifies it."""

import hashlib
import json
from dataclasses import dataclass

from jaxtyping import Int64, UInt8
from torch import Tensor

from wider.data._dataset import Dataset
from wider.tasks import Task


@dataclass(frozen=True, eq=False)
class Split:
    """The images of one split with their labels, in the order in which they were stored.

    Args:
        images: pixel values from 0 (black) to 255.
        labels: one class for each image, from 0 to the number of classes less one.
    """

    images: UInt8[Tensor, "images channels height width"]
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
        test: the images to judge by.
        digest: SHA-256, as hexadecimal digits, of the class names and of both splits.
        notes: what a user should know before training, such as test images that are training
            images, too; the command line shows them.
    """

    name: str
    classes: tuple[str, ...]
    encoding: str
    train: Split
    test: Split
    digest: str
    notes: tuple[str, ...] = ()

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
        return Task.of_images(self.image_shape, self.num_classes)

    @property
    def num_features(self) -> int:
        """How many numbers one image holds."""
        return self.train.images[0].numel()


def content_digest(classes: tuple[str, ...], train: Split, test: Split) -> str:
    """The SHA-256 of everything that a network can see of a dataset.

    Args:
        classes: class names in label order.
        train: the training images.
        test: the test images.

    Returns:
        64 hexadecimal digits; the same on every machine for the same content.
    """
    tensors = (train.images, train.labels, test.images, test.labels)
    layout = [[str(tensor.dtype), list(tensor.shape)] for tensor in tensors]
    digest = hashlib.sha256(json.dumps([classes, layout]).encode())
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
