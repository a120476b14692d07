"""Images in memory that are ready for training: drawn, and their pixels brought to one scale."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor

from wider.data._augment import Augmentation, Moves, draw_moves, moved
from wider.data._draw import drawn_rows
from wider.data._images import ImageData
from wider.data._in_memory import InMemoryData, Mover
from wider.data._part import Part
from wider.data._prepare import prepared
from wider.data._preprocessing import Normalisation, Preprocessing
from wider.data._scale import mean_and_deviation, scaled
from wider.data._training_data import Batch
from wider.data._transformations import transformed
from wider.errors import InputError
from wider.tasks import Task

# Sums are taken over so few images at a time that their widened pixels fit a processor's cache.
CHUNK = 64


@dataclass(frozen=True, eq=False)
class PreparedData(InMemoryData):
    """Images and labels in memory that are ready for training.

    A transformation may have made features of the images, which then have one dimension.

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

    train_images: Float32[Tensor, "train *shape"]
    train_labels: Int64[Tensor, "train"]
    test_images: Float32[Tensor, "test *shape"]
    test_labels: Int64[Tensor, "test"]
    validation_images: Float32[Tensor, "validation *shape"]
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
        if self.train_images.dim() == 4:
            return Task.of_images(self.image_shape, self.num_classes)
        return Task("features", tuple(self.train_images.shape[1:]), "classes", self.num_classes)

    def part(self, name: Part) -> Batch:
        """The images and labels of one part."""
        return getattr(self, f"{name}_images"), getattr(self, f"{name}_labels")

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
                'normalisation "pixel" there is no such colour: use "channel" or "unit", and no '
                "transformations that mix pixels"
            )

    def _mover(
        self, augmentation: Augmentation, count: int, generator: torch.Generator
    ) -> Mover | None:
        moves, black = draw_moves(augmentation, count, generator=generator), self.black
        if moves is None or black is None:
            return None
        # At once: a transfer in each step would make it wait for the device.
        every = Moves(*(part.to(self.device) for part in moves))
        return lambda images, places: moved(images, every.of(places), black)


@prepared.register
def _(
    data: ImageData,
    preprocessing: Preprocessing,
    *,
    workers: int | None,  # noqa: ARG001
) -> PreparedData:
    train_rows, validation_rows = drawn_rows(data, preprocessing, "images")
    train_pixels = data.train.images[train_rows]
    sample = data.train.images if preprocessing.scaled_by == "all" else train_pixels
    mean, deviation = _mean_and_deviation(sample, preprocessing.normalisation)
    black = scaled(torch.zeros_like(train_pixels[:1]), mean, deviation)[0]
    has_black = preprocessing.normalisation != "pixel" and all(
        transformation.keeps_black for transformation in preprocessing.transformations
    )
    images = transformed(
        {
            "train": scaled(train_pixels, mean, deviation),
            "test": scaled(data.test.images, mean, deviation),
            "validation": scaled(data.train.images[validation_rows], mean, deviation),
        },
        preprocessing.transformations,
    )
    return PreparedData(
        train_images=images["train"],
        train_labels=data.train.labels[train_rows],
        test_images=images["test"],
        test_labels=data.test.labels,
        validation_images=images["validation"],
        validation_labels=data.train.labels[validation_rows],
        num_classes=data.num_classes,
        black=black[:, 0, 0].clone() if has_black else None,
    )


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
