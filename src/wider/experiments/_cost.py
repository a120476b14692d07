"""What an experiment costs, before any image is loaded."""

from collections.abc import Sequence

from wider.runs import RunSpec, estimated_seconds

# {dataset: training images, shape of an image, classes}
DATASETS = {
    "digits": (1297, (1, 8, 8), 10),
    "mnist": (60_000, (1, 28, 28), 10),
    "cifar10": (50_000, (3, 32, 32), 10),
    "cifar100": (50_000, (3, 32, 32), 100),
    "svhn": (73_257, (3, 32, 32), 10),
}


def estimated_core_seconds(specs: Sequence[RunSpec]) -> float:
    """About how many seconds of one core all runs take together; see `estimated_seconds`."""
    total = 0.0
    for spec in specs:
        num_images, image_shape, num_classes = DATASETS[spec.data.dataset]
        total += estimated_seconds(
            spec, num_images=num_images, image_shape=image_shape, num_classes=num_classes
        )
    return total
