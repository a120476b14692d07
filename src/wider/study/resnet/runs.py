"""The runs that the experiments with ResNet-18 are made of, and share."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from wider.data import Augmentation, Preprocessing
from wider.models import ResNet18Spec, Stem
from wider.runs import Method, RunSpec, Widening
from wider.training import Recipe

SMALL_IMAGES = ["cifar10", "cifar100", "svhn"]
PAPER_DATASETS = [*SMALL_IMAGES, "imagenet"]

Families = Mapping[int, Sequence[int]]
"""{base width: widths of the members, the base width among them}"""

# The paper does not say; the code that its authors published does this, to SVHN's digits, too.
AUGMENTATIONS: dict[str, Augmentation] = {
    "cifar10": "crop-flip",
    "cifar100": "crop-flip",
    "svhn": "crop-flip",
    "svhn_10k": "crop-flip",
    "imagenet": "resized-crop",
}
BATCH_SIZE, LEARNING_RATE, MOMENTUM = 128, 0.1, 0.9
SMALL_WEIGHT_DECAY, IMAGENET_WEIGHT_DECAY = 5e-4, 1e-4


@dataclass(frozen=True)
class Protocol:
    """How long and how often the members of a family are trained.

    Attributes:
        epochs: of each run.
        num_seeds: seeds 0, 1, ...
        milestones: epochs after which the learning rate falls to a tenth; none for ImageNet, where
            it falls along a cosine.
        num_train: training images; None for all.
        image_size: of ImageNet's crops, in pixels.
        shrunk_to: height and width to which small images are shrunk, in pixels; None for all of it.
    """

    epochs: int
    num_seeds: int
    milestones: tuple[int, ...] = ()
    num_train: int | None = None
    image_size: int = 224
    shrunk_to: int | None = None


SMOKE = Protocol(epochs=1, num_seeds=1, num_train=100)
LAPTOP = Protocol(epochs=15, milestones=(8, 12), num_seeds=1)
# So small that three seeds take an hour or so on two cores.
SMALL_LAPTOP = replace(LAPTOP, num_seeds=3, num_train=10_000, shrunk_to=16)
GPU = Protocol(epochs=20, milestones=(10, 16), num_seeds=3)
GPU_SMALL_SET = replace(GPU, epochs=100, milestones=(50, 80))  # about as many steps
GPU_DATASETS = ["cifar10", "cifar100"]
# As Appendix A has it; docs/fidelity.md lists what it leaves open.
PAPER = Protocol(epochs=300, milestones=(50, 120, 200), num_seeds=3)
# The paper shows one seed. Three, since one decides nothing.
PAPER_IMAGENET = Protocol(epochs=150, num_seeds=3)

IMAGENET_FAMILY: Families = {64: (64, 90, 128, 181, 256)}


def resnet_runs(
    protocol: Protocol,
    families: Families,
    *,
    datasets: Sequence[str],
    methods: Sequence[Method] = ("sparse",),
    patterns: Sequence[str] = ("uniform",),
) -> list[RunSpec]:
    """Every member of each family once, all of one seed first.

    Args:
        protocol: how they are trained.
        families: base widths and widths.
        datasets: of `DATASETS`.
        methods: of widening.
        patterns: of sparse nets.
    """
    wanted = itertools.product(range(protocol.num_seeds), datasets, families, methods, patterns)
    runs = [
        _run(protocol, dataset, _member(method, base_width, width, pattern), seed)
        for seed, dataset, base_width, method, pattern in wanted
        for width in families[base_width]
    ]
    return list(dict.fromkeys(runs))


def _member(method: Method, base_width: int, width: int, pattern: str) -> Widening:
    if width == base_width and method != "linear_bottleneck":
        # Of all these families the first member is one and the same dense net.
        method, pattern = "sparse", "uniform"
    return Widening(method=method, base_width=base_width, width=width, pattern=pattern)


def _run(protocol: Protocol, dataset: str, widening: Widening, seed: int) -> RunSpec:
    large = dataset == "imagenet"
    stem: Stem = "imagenet" if large else "cifar"
    return RunSpec(
        data=Preprocessing(
            dataset=dataset,
            num_train=protocol.num_train,
            image_size=protocol.image_size if large else None,
            shrunk_to=protocol.shrunk_to,
        ),
        model=ResNet18Spec(stem=stem),
        widening=widening,
        recipe=Recipe(
            epochs=protocol.epochs,
            batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            momentum=MOMENTUM,
            weight_decay=IMAGENET_WEIGHT_DECAY if large else SMALL_WEIGHT_DECAY,
            schedule="cosine" if large else "steps",
            milestones=() if large else protocol.milestones,
            augmentation=AUGMENTATIONS[dataset],
        ),
        seed=seed,
    )
