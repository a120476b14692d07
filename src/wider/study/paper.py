"""The paper's numbers, beside which ours are shown, and what it calls its datasets.

Golubeva, Neyshabur, Gur-Ari: Are wider nets better given the same number of parameters? ICLR 2021.
"""

import pandas as pd

from wider.models import Activation
from wider.runs import Method

IN_PAPER = "accuracy_in_paper"  # a column: test accuracy of the best epoch, as the paper prints it

DATASETS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "svhn": "SVHN",
    "svhn_10k": "10,000 images of SVHN's test set",
    "imagenet": "ImageNet",
}
TITLES = {**DATASETS, "mnist": "MNIST"}

# {activation: {width: best test accuracy}}. Figure 4 and Section 2.3; the baselines are given there
# as "about".
FIGURE_4: dict[Activation, dict[int, float]] = {
    "relu": {5: 0.90, 80: 0.963, 160: 0.963},
    "identity": {5: 0.90, 40: 0.927},
}

# {method: {width: rate}}, as the authors published them beside their code. The net of width 8 is
# dense and belongs to both lines.
FIGURE_7_RATES: dict[Method, dict[int, float]] = {
    "sparse": {8: 5, 32: 136, 128: 260, 216: 361, 328: 491, 512: 736, 635: 875},
    "dense": {32: 80, 128: 173, 216: 228, 328: 306, 512: 445, 635: 460},
}

# {method: {width: (top-1 accuracy, millions of weights)}}.
TABLE_1: dict[Method, dict[int, tuple[float, float]]] = {
    "dense": {
        64: (0.6803, 11.7),
        90: (0.6911, 22.8),
        128: (0.7022, 45.7),
        181: (0.7091, 90.7),
        256: (0.7189, 180.6),
    },
    "sparse": {90: (0.6956, 11.7), 128: (0.7002, 11.7), 181: (0.7066, 11.7), 256: (0.7053, 11.7)},
}


def accuracies_of_figure_4() -> pd.DataFrame:
    """The accuracies of Figure 4, one row per net."""
    return pd.DataFrame(
        [
            {"activation": activation, "width": width, IN_PAPER: accuracy}
            for activation, nets in FIGURE_4.items()
            for width, accuracy in nets.items()
        ]
    )


def accuracies_of_table_1() -> pd.DataFrame:
    """The accuracies of Table 1, one row per net."""
    return pd.DataFrame(
        [
            {"method": method, "width": width, IN_PAPER: accuracy}
            for method, nets in TABLE_1.items()
            for width, (accuracy, _) in nets.items()
        ]
    )


def dataset_title(table: pd.DataFrame, name: str) -> str:
    """The dataset's name, and whether its images are not the original bits.

    Args:
        table: of runs.
        name: of one of their datasets.
    """
    if name == "imagenet":
        return f"{TITLES[name]}, resized to 256 pixels and stored as JPEG"
    encoded = (table.loc[table["dataset"] == name, "data_encoding"] == "jpeg").any()
    return f"{'re-encoded ' if encoded else ''}{TITLES.get(name, name)}"
