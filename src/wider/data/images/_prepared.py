"""From images in memory to training data: fewer or simpler ones, then drawn and scaled."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor
from torch.nn import functional

from wider.data._dataset import Normalisation, Preprocessing
from wider.data._prepare import drawn_rows, prepared
from wider.data._training_data import Augmentation, Augmenter, Batch, InMemoryData, Part
from wider.data._transformations import transformed
from wider.data.images._augmentation import DrawnAugmentation, augmented, draw_augmentation
from wider.data.images._in_memory import ImageData, Images, Pixels, image_digest
from wider.errors import InputError
from wider.tasks import Task

# ITU-R BT.601: how bright red, green and blue look.
BRIGHTNESS = (0.299, 0.587, 0.114)

MADE_AT_A_TIME = 1000  # images that are widened to floating point
# Sums are taken over so few images at a time that their widened pixels fit a processor's cache.
ADDED_AT_A_TIME = 64


@dataclass(frozen=True, eq=False)
class PreparedData(InMemoryData):
    """Images and labels in memory that are ready for training.

    A transformation may have made features of the images, which then have one dimension.

    Args:
        train_images: scaled images to learn from.
        train_labels: their classes, from 0.
        test_images: scaled images to test on.
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

    def _augmenter(
        self, augmentation: Augmentation, count: int, generator: torch.Generator
    ) -> Augmenter | None:
        drawn, black = draw_augmentation(augmentation, count, generator=generator), self.black
        if drawn is None or black is None:
            return None
        # At once: a transfer in each step would make it wait for the device.
        every = DrawnAugmentation(*(numbers.to(self.device) for numbers in drawn))
        return lambda images, places: augmented(images, every.of(places), black)


def derived(data: ImageData, preprocessing: Preprocessing) -> ImageData:
    """The dataset that a preprocessing makes of a loaded one: fewer classes, grey, shrunk.

    Args:
        data: as loaded.
        preprocessing: of which `classes`, `grey` and `shrunk_to` count here.

    Returns:
        A dataset with a digest of its own; the same one if nothing is to be done.

    Raises:
        InputError: a class or a size that the dataset does not have.
    """
    wanted, size = preprocessing.classes, preprocessing.shrunk_to
    if not (wanted or preprocessing.grey or size):
        return data
    _check(data, preprocessing)
    classes = tuple(data.classes[label] for label in wanted) or data.classes
    train, test = (_derived(split, preprocessing) for split in (data.train, data.test))
    return replace(
        data,
        classes=classes,
        train=train,
        test=test,
        digest=image_digest(classes, train, test),
        notes=(*data.notes, *_chosen(wanted, classes)),
    )


def mean_and_deviation(
    total: Int64[Tensor, "*places"],
    squares: Int64[Tensor, "*places"],
    count: int,
) -> tuple[Float64[Tensor, "*places"], Float64[Tensor, "*places"]]:
    """What to subtract from pixels between 0 and 1, and what to divide by then.

    Args:
        total: sums of pixel values from 0 to 255.
        squares: sums of their squares.
        count: how many values were added up.
    """
    mean = total.double() / count
    deviation = (squares.double() / count - mean**2).sqrt()
    # What never varies has nothing to be divided by.
    return mean / 255, torch.where(deviation == 0, 1.0, deviation / 255)


def scaled(
    images: Pixels,
    mean: Float64[Tensor, "channels #height #width"],
    deviation: Float64[Tensor, "channels #height #width"],
) -> Float32[Tensor, "images channels height width"]:
    """Pixels from 0 to 1, less the mean, divided by the deviation."""
    return images.float().div_(255).sub_(mean.float()).div_(deviation.float())


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
    images: Pixels, normalisation: Normalisation
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
    images: Pixels,
) -> tuple[Int64[Tensor, "channels height width"], Int64[Tensor, "channels height width"]]:
    """Exact sums over all images of each pixel's value and of its square."""
    # NumPy, as PyTorch is ten times slower at sums of whole numbers over the images.
    pixels = images.numpy()
    total = np.zeros(pixels.shape[1:], dtype=np.int64)
    squares = np.zeros_like(total)
    for start in range(0, len(pixels), ADDED_AT_A_TIME):
        values = pixels[start : start + ADDED_AT_A_TIME].astype(np.int64)
        total += values.sum(axis=0)
        squares += np.square(values).sum(axis=0)
    return torch.from_numpy(total), torch.from_numpy(squares)


def _chosen(wanted: tuple[int, ...], classes: tuple[str, ...]) -> tuple[str, ...]:
    """A note of the names behind the numbers: as text, '10' comes before '2'."""
    if not wanted:
        return ()
    names = ", ".join(map(repr, classes))
    return (f"classes {', '.join(map(str, wanted))} are {names}",)


def _check(data: ImageData, preprocessing: Preprocessing) -> None:
    wanted, size = preprocessing.classes, preprocessing.shrunk_to
    unknown = [label for label in wanted if not 0 <= label < data.num_classes]
    if unknown or len(set(wanted)) < len(wanted) or len(wanted) == 1:
        raise InputError(
            f"classes are {', '.join(map(str, wanted))}; use two or more different ones from 0 to "
            f"{data.num_classes - 1}, the classes of {data.name}"
        )
    sides = data.image_shape[1:]
    if size is not None and size >= min(sides):
        raise InputError(
            f"shrunk_to is {size}, but the images of {data.name} have {sides[0]}x{sides[1]} "
            "pixels: use fewer, or leave it out"
        )


def _derived(split: Images, preprocessing: Preprocessing) -> Images:
    images, labels = split.images, split.labels
    if preprocessing.classes:
        wanted = torch.tensor(preprocessing.classes)
        rows = torch.isin(labels, wanted)
        images, labels = images[rows], (labels[rows][:, None] == wanted).int().argmax(1)
    parts = [_simpler(part, preprocessing) for part in images.split(MADE_AT_A_TIME)]
    return Images(torch.cat(parts), labels)


def _simpler(images: Pixels, preprocessing: Preprocessing) -> Pixels:
    values = images.float()
    if preprocessing.grey and images.shape[1] == len(BRIGHTNESS):
        values = (values * torch.tensor(BRIGHTNESS).view(-1, 1, 1)).sum(1, keepdim=True)
    if preprocessing.shrunk_to is not None:
        values = functional.adaptive_avg_pool2d(values, preprocessing.shrunk_to)
    return values.round().to(torch.uint8)
