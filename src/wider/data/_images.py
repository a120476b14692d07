"""A decoded dataset: its images, its labels and what identifies it."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from jaxtyping import Int64, UInt8
from torch import Tensor

from wider.data._dataset import Dataset
from wider.data._digest import digest_of
from wider.data._preprocessing import Preprocessing
from wider.data._transformations import TransformationSpec, transformed_task
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
    train: Split
    test: Split
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


def content_digest(classes: tuple[str, ...], train: Split, test: Split) -> str:
    """What identifies a dataset of images; see `digest_of`.

    Args:
        classes: class names in label order.
        train: the training images.
        test: the test images.
    """
    return digest_of(classes, (train.images, train.labels, test.images, test.labels))
