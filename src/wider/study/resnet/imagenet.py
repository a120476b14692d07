"""The runs of Table 1 and Figure 12."""

from collections.abc import Mapping

import pandas as pd

from wider.evidence import over_seeds
from wider.runs import Method
from wider.study._experiment import Scale
from wider.study._lines import with_baselines
from wider.study.paper import TABLE_1
from wider.study.resnet.runs import IMAGENET_FAMILY, PAPER_IMAGENET, Protocol, resnet_runs

METHODS: dict[Method, str] = {
    "sparse": "sparse, as many weights at every width",
    "dense": "dense, weights grow with the width",
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
            for method, nets in TABLE_1.items()
            for width, (accuracy, millions) in nets.items()
        ]
    )
