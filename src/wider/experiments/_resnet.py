"""What the experiments with ResNet-18 have in common."""

import pandas as pd

from wider.data import Augmentation, Preprocessing
from wider.runs import ModelSpec, RunSpec, Widening
from wider.training import Recipe

DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "svhn": "SVHN"}

# Appendix A. Digits are not turned around.
BATCH_SIZE, LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 128, 0.1, 0.9, 5e-4
EPOCHS, MILESTONES = 300, (50, 120, 200)
AUGMENTATIONS: dict[str, Augmentation] = {
    "cifar10": "crop-flip",
    "cifar100": "crop-flip",
    "svhn": "crop",
}


def resnet_run(
    dataset: str,
    widening: Widening,
    *,
    epochs: int,
    milestones: tuple[int, ...],
    seed: int,
    num_train: int | None = None,
) -> RunSpec:
    """A ResNet-18 trained as in Appendix A, but for the length of the schedule.

    Args:
        dataset: of `DATASETS`.
        widening: which member of the family.
        epochs: of the run.
        milestones: epochs after which the learning rate falls.
        seed: of the run.
        num_train: training images; None for all.
    """
    return RunSpec(
        data=Preprocessing(dataset=dataset, num_train=num_train),
        model=ModelSpec(name="resnet18"),
        widening=widening,
        recipe=Recipe(
            epochs=epochs,
            batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            momentum=MOMENTUM,
            weight_decay=WEIGHT_DECAY,
            milestones=milestones,
            augmentation=AUGMENTATIONS[dataset],
        ),
        seed=seed,
    )


def dataset_title(table: pd.DataFrame, name: str) -> str:
    """The dataset's name, and whether its images are not the original bits."""
    rows = table[table["dataset"] == name]
    encoded = (rows["data_encoding"] == "jpeg").any()
    return f"{'re-encoded ' if encoded else ''}{DATASETS[name]}"
