"""The runs of Table 1 and Figure 12, and the paper's numbers."""

from collections.abc import Mapping

import pandas as pd

from wider.runs import Method
from wider.study._experiment import IN_PAPER, Scale
from wider.study._resnet import (
    IMAGENET_FAMILY,
    PAPER_IMAGENET,
    Protocol,
    resnet_runs,
    with_baselines,
)
from wider.study._table import over_seeds

METHODS: dict[Method, str] = {
    "sparse": "sparse, as many weights at every width",
    "dense": "dense, weights grow with the width",
}

# {method: {width: (top-1 accuracy, millions of weights)}}. Golubeva et al. 2021, Table 1.
PAPER: dict[Method, dict[int, tuple[float, float]]] = {
    "dense": {
        64: (0.6803, 11.7),
        90: (0.6911, 22.8),
        128: (0.7022, 45.7),
        181: (0.7091, 90.7),
        256: (0.7189, 180.6),
    },
    "sparse": {90: (0.6956, 11.7), 128: (0.7002, 11.7), 181: (0.7066, 11.7), 256: (0.7053, 11.7)},
}

SMOKE = Protocol(epochs=1, num_seeds=1, num_train=16, image_size=64)

SCALES: Mapping[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            "smoke",
            "16 images of 64 pixels, 1 epoch, widths 2 and 3",
            lambda: resnet_runs(SMOKE, {2: (2, 3)}, datasets=["imagenet"], methods=list(METHODS)),
        ),
        Scale(
            "paper",
            "150 epochs, 3 seeds",
            lambda: resnet_runs(
                PAPER_IMAGENET, IMAGENET_FAMILY, datasets=["imagenet"], methods=list(METHODS)
            ),
        ),
    )
}


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per net, with the baseline as the first member of both lines."""
    both = with_baselines(table, "method", ["dense"])
    return over_seeds(both, ["method", "base_width", "width"])


def paper_rows() -> pd.DataFrame:
    """The paper's numbers, one row per net, in our columns; weights as it rounds them."""
    return pd.DataFrame(
        [
            {
                "method": method,
                "width": width,
                "best_test_accuracy": accuracy,
                "num_weights": round(1e6 * millions),
            }
            for method, nets in PAPER.items()
            for width, (accuracy, millions) in nets.items()
        ]
    )


PRINTED = paper_rows().rename(columns={"best_test_accuracy": IN_PAPER}).drop(columns="num_weights")
