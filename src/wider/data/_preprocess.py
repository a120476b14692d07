"""Drawing the images to use and bringing their pixels to one scale."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import overload

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from wider.data._augment import Augmentation, Moves, draw_moves, moved
from wider.data._dataset import Dataset
from wider.data._images import ImageData
from wider.data._large_images import LargeImageData
from wider.data._preprocessing import Normalisation, Preprocessing, drawn_rows
from wider.data._scale import mean_and_deviation, scaled
from wider.data._streamed_data import StreamedData, streamed
from wider.data._training_data import Batch, Part, TrainingData
from wider.errors import InputError
from wider.tasks import Task

# Sums are taken over so few images at a time that their widened pixels fit a processor's cache.
CHUNK = 64


@dataclass(frozen=True, eq=False)
class PreparedData(TrainingData):
    """Images and labels in memory that are ready for training.

    Args:
        train_images: scaled images to learn from.
        train_labels: their classes, from 0.
        test_images: scaled images to judge by.
        test_labels: their classes.
        validation_images: scaled images set aside from the training images; there may be none.
        validation_labels: their classes.
        num_classes: how many classes there are.
        black: what a black pixel became, in each channel; None where that differs from pixel to
            pixel.
    """

    train_images: Float32[Tensor, "train channels height width"]
    train_labels: Int64[Tensor, "train"]
    test_images: Float32[Tensor, "test channels height width"]
    test_labels: Int64[Tensor, "test"]
    validation_images: Float32[Tensor, "validation channels height width"]
    validation_labels: Int64[Tensor, "validation"]
    num_classes: int
    black: Float32[Tensor, " channels"] | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, channels, height, width = self.train_images.shape
        return channels, height, width

    @property
    def task(self) -> Task:
        """See `TrainingData`."""
        return Task.of_images(self.image_shape, self.num_classes)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.train_images.device

    def part(self, name: Part) -> Batch:
        """The images and labels of one part."""
        return getattr(self, f"{name}_images"), getattr(self, f"{name}_labels")

    def count(self, part: Part) -> int:
        """See `TrainingData`."""
        return len(self.part(part)[1])

    def check_augmentation(self, augmentation: Augmentation) -> None:
        """See `TrainingData`."""
        if augmentation == "resized-crop":
            raise InputError(
                "augmentation 'resized-crop' is for large images that are cropped to one size, and "
                "these are used as they are: use 'crop' or 'crop-flip'"
            )
        if augmentation != "none" and self.black is None:
            raise InputError(
                f"augmentation {augmentation!r} pads images with black, and with "
                'normalisation "pixel" there is no such colour: use "channel" or "unit"'
            )

    def train_batches(
        self,
        order: Int64[Tensor, " images"],
        *,
        batch_size: int,
        augmentation: Augmentation,
        generator: torch.Generator,
        share: slice = slice(None),
        start: int = 0,
    ) -> Iterator[Batch]:
        """See `TrainingData`."""
        moves = draw_moves(augmentation, len(order), generator=generator)
        if moves is not None:
            # At once: a transfer in each step would make it wait for the device.
            moves = Moves(*(part.to(self.device) for part in moves))
        rows, places = order.to(self.device), torch.arange(len(order), device=self.device)
        for first in range(start, len(order), batch_size):
            batch = slice(first, first + batch_size)
            own = rows[batch][share]
            images = self.train_images[own]
            if moves is not None and self.black is not None:
                images = moved(images, moves.of(places[batch][share]), self.black)
            yield images, self.train_labels[own]

    def batches(self, part: Part, *, batch_size: int) -> Iterator[Batch]:
        """See `TrainingData`."""
        images, labels = self.part(part)
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)

    def to(self, device: torch.device | str) -> "PreparedData":
        """The same data on a device.

        Args:
            device: such as "cpu" or "cuda".

        Returns:
            Data of which every tensor is on the device.
        """
        tensors = {
            field.name: getattr(self, field.name).to(device)
            for field in fields(self)
            if isinstance(getattr(self, field.name), Tensor)
        }
        return replace(self, **tensors)


@overload
def prepare(
    data: ImageData, preprocessing: Preprocessing, *, workers: int | None = None
) -> PreparedData: ...
@overload
def prepare(
    data: ImageData | LargeImageData, preprocessing: Preprocessing, *, workers: int | None = None
) -> PreparedData | StreamedData: ...
def prepare(
    data: ImageData | LargeImageData, preprocessing: Preprocessing, *, workers: int | None = None
) -> PreparedData | StreamedData:
    """Draws the images to use and scales their pixels.

    Validation images are drawn first, the training images from the rest. With the same seed a
    smaller draw is part of every larger one. Mean and standard deviation come from the training
    images that are used, or from all of them, and from no other.

    Args:
        data: a loaded dataset.
        preprocessing: what to draw and how to scale.
        workers: processes that decode large images; 0 to decode them in this one. By default as
            many as PyTorch has threads.

    Returns:
        Images as 32-bit floating-point numbers; in each part they keep their original order.

    Raises:
        InputError: if more images are asked for than there are, or if they cannot be cropped or
            scaled in this way.
    """
    if isinstance(data, LargeImageData):
        return streamed(data, preprocessing, workers=workers)
    if preprocessing.image_size is not None:
        raise InputError(
            f"image_size is {preprocessing.image_size}, but the images of {data.name} are all of "
            "one size and used as they are: leave image_size out"
        )
    train_rows, validation_rows = drawn_rows(data, preprocessing)
    train_pixels = data.train.images[train_rows]
    sample = data.train.images if preprocessing.scaled_by == "all" else train_pixels
    mean, deviation = _mean_and_deviation(sample, preprocessing.normalisation)
    black = scaled(torch.zeros_like(train_pixels[:1]), mean, deviation)[0]
    return PreparedData(
        train_images=scaled(train_pixels, mean, deviation),
        train_labels=data.train.labels[train_rows],
        test_images=scaled(data.test.images, mean, deviation),
        test_labels=data.test.labels,
        validation_images=scaled(data.train.images[validation_rows], mean, deviation),
        validation_labels=data.train.labels[validation_rows],
        num_classes=data.num_classes,
        black=None if preprocessing.normalisation == "pixel" else black[:, 0, 0].clone(),
    )


def task_of(dataset: Dataset, preprocessing: Preprocessing) -> Task:
    """What nets for a dataset take and give, after its preprocessing."""
    return dataset.task


def _mean_and_deviation(
    images: UInt8[Tensor, "images channels height width"], normalisation: Normalisation
) -> tuple[Float64[Tensor, "channels #height #width"], Float64[Tensor, "channels #height #width"]]:
    """What to subtract from pixels between 0 and 1, and what to divide by then."""
    if normalisation == "unit":
        return torch.zeros(1, 1, 1, dtype=torch.float64), torch.ones(1, 1, 1, dtype=torch.float64)
    total, squares = _pixel_sums(images)
    count = len(images)
    if normalisation == "channel":
        count *= total[0].numel()
        total, squares = (sums.sum(dim=(1, 2), keepdim=True) for sums in (total, squares))
    return mean_and_deviation(total, squares, count)


def _pixel_sums(
    images: UInt8[Tensor, "images channels height width"],
) -> tuple[Int64[Tensor, "channels height width"], Int64[Tensor, "channels height width"]]:
    """Exact sums over all images of each pixel's value and of its square."""
    # NumPy, as PyTorch is ten times slower at sums of whole numbers over the images.
    pixels = images.numpy()
    total = np.zeros(pixels.shape[1:], dtype=np.int64)
    squares = np.zeros_like(total)
    for start in range(0, len(pixels), CHUNK):
        values = pixels[start : start + CHUNK].astype(np.int64)
        total += values.sum(axis=0)
        squares += np.square(values).sum(axis=0)
    return torch.from_numpy(total), torch.from_numpy(squares)
