"""What an experiment costs, before any image is loaded."""

from collections.abc import Sequence

from wider.catalogue import ListedExperiment, ListedScale
from wider.data import KNOWN
from wider.runs import RunSpec, estimated_gpu_seconds, estimated_seconds
from wider.study._experiment import Experiment, Scale
from wider.tasks import Task

# Gigabytes: the archives of ILSVRC 2012 as image-net.org offers them, 138 and 6.3; and 1.33 million
# images of about 256 x 341 pixels at 0.4 bytes a pixel, JPEG of quality 90.
IMAGENET_SOURCE, IMAGENET_PREPARED = 144, 46


def as_listed(experiment: Experiment) -> ListedExperiment:
    """What the catalogue has of an experiment."""
    scales = {scale.name: _listed(scale) for scale in experiment.scales.values()}
    return ListedExperiment(experiment.title, scales)


def _listed(scale: Scale) -> ListedScale:
    specs = scale.specs()
    is_known = all(dataset in KNOWN for dataset in scale.datasets)
    return ListedScale(
        name=scale.name,
        description=scale.description,
        num_runs=len(specs),
        datasets=scale.datasets,
        gigabytes=estimated_gigabytes(specs),
        core_seconds=round(estimated_core_seconds(specs)) if is_known else None,
        gpu_seconds=round(3600 * estimated_gpu_hours(specs)) if is_known else None,
    )


def estimated_core_seconds(specs: Sequence[RunSpec]) -> float:
    """About how many seconds of one core all runs take together; see `estimated_seconds`."""
    return sum(
        estimated_seconds(spec, _task(spec), num_train=KNOWN[spec.data.dataset].num_train)
        for spec in specs
    )


def estimated_gpu_hours(specs: Sequence[RunSpec]) -> float:
    """About how many hours of one large GPU all runs take, one after another.

    From counted multiply-adds, zeros included; see `estimated_gpu_seconds`.
    """
    seconds = (
        estimated_gpu_seconds(spec, _task(spec), num_train=KNOWN[spec.data.dataset].num_train)
        for spec in specs
    )
    return sum(seconds) / 3600


def estimated_gigabytes(specs: Sequence[RunSpec]) -> int:
    """About how much disk the data take, source and prepared; 0 where it is less than one."""
    large = any(spec.data.dataset == "imagenet" for spec in specs)
    return IMAGENET_SOURCE + IMAGENET_PREPARED if large else 0


def _task(spec: RunSpec) -> Task:
    known, size = KNOWN[spec.data.dataset], spec.data.image_size
    channels, *sides = known.image_shape
    height, width = (size, size) if size else sides
    return Task.of_images((channels, height, width), known.num_classes)
