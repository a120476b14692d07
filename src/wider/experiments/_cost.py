"""What an experiment costs, before any image is loaded."""

from collections.abc import Sequence
from typing import Any

from wider.runs import RunSpec, estimated_gpu_seconds, estimated_seconds

# {dataset: training images, shape of an image, classes}
DATASETS = {
    "digits": (1297, (1, 8, 8), 10),
    "mnist": (60_000, (1, 28, 28), 10),
    "cifar10": (50_000, (3, 32, 32), 10),
    "cifar100": (50_000, (3, 32, 32), 100),
    "svhn": (73_257, (3, 32, 32), 10),
    "imagenet": (1_281_167, (3, 224, 224), 1000),
}


# Gigabytes: the archives of ILSVRC 2012 as image-net.org offers them, 138 and 6.3; and 1.33 million
# images of about 256 x 341 pixels at 0.4 bytes a pixel, JPEG of quality 90.
IMAGENET_SOURCE, IMAGENET_PREPARED = 144, 46


def estimated_core_seconds(specs: Sequence[RunSpec]) -> float:
    """About how many seconds of one core all runs take together; see `estimated_seconds`."""
    return sum(estimated_seconds(spec, **_sizes(spec)) for spec in specs)


def estimated_gpu_hours(specs: Sequence[RunSpec]) -> float:
    """About how many hours of one large GPU all runs take, one after another.

    From counted multiply-adds, zeros included, at an assumed speed; see `estimated_gpu_seconds`.
    """
    return sum(estimated_gpu_seconds(spec, **_sizes(spec)) for spec in specs) / 3600


def estimated_gigabytes(specs: Sequence[RunSpec]) -> int:
    """About how much disk the data take, source and prepared; 0 where it is less than one."""
    large = any(spec.data.dataset == "imagenet" for spec in specs)
    return IMAGENET_SOURCE + IMAGENET_PREPARED if large else 0


def _sizes(spec: RunSpec) -> dict[str, Any]:
    num_images, (channels, *sides), num_classes = DATASETS[spec.data.dataset]
    if size := spec.data.image_size:
        sides = [size, size]
    return {
        "num_images": num_images,
        "image_shape": (channels, *sides),
        "num_classes": num_classes,
    }
