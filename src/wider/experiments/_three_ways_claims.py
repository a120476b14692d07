"""What the paper says of the three ways to widen, checked in an MLP."""

import math
from typing import Any

import pandas as pd

from wider.experiments._claim import (
    Claim,
    Contrast,
    Evidence,
    Measure,
    by_seed,
    picked_and_confirmed,
)
from wider.experiments._resnet import with_baselines

LAST_EPOCH = "final_test_accuracy"
PLACE = "Section 1.1"
BOTTLENECKS = ["linear_bottleneck", "nonlinear_bottleneck"]


def gain_by(method: str) -> Measure:
    """The best wider net of one way less the narrowest one."""

    def measure(table: pd.DataFrame, confidence: float) -> Evidence | None:
        both = with_baselines(table, "method", ["nonlinear_bottleneck"])
        values = by_seed(both[both["method"] == method], ["width"], LAST_EPOCH)
        if len(values.columns) < 2:
            return None
        base = values.columns.min()

        def pick(means: pd.Series) -> Contrast:
            best = means.drop(base).idxmax()
            return Contrast({best: 1, base: -1}, f"width {best} less width {base}")

        return picked_and_confirmed(values, pick, confidence)

    return measure


def sparsity_leads(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The best sparse net less the best one with bottlenecks of either kind."""
    values = by_seed(table, ["method", "width"], LAST_EPOCH)
    if not {"sparse", *BOTTLENECKS} <= set(values.columns.get_level_values("method")):
        return None

    def pick(means: pd.Series) -> Contrast:
        sparse: Any = means[["sparse"]].idxmax()
        other: Any = means[BOTTLENECKS].idxmax()
        words = f"static sparsity at width {sparse[1]} less {other[0]} at width {other[1]}"
        return Contrast({sparse: 1, other: -1}, words.replace("_", " "))

    return picked_and_confirmed(values, pick, confidence)


def _gain_claim(
    method: str, says: str, *, above: float = -math.inf, below: float = math.inf
) -> Claim:
    return Claim(
        name=f"three-ways-{method.partition('_')[0]}",
        says=says,
        place=PLACE,
        quantity="test accuracy of the last epoch: best wider net less the narrowest one",
        measure=gain_by(method),
        above=above,
        below=below,
    )


CLAIMS = (
    _gain_claim("sparse", "In an MLP on MNIST, width by static sparsity gains.", above=0),
    _gain_claim(
        "linear_bottleneck", "In an MLP on MNIST, width by linear bottlenecks gains.", above=0
    ),
    _gain_claim(
        "nonlinear_bottleneck",
        "In an MLP on MNIST, width by non-linear bottlenecks gains nothing.",
        below=0,
    ),
    Claim(
        name="three-ways-best",
        says="In an MLP on MNIST, static sparsity gives the best net of the three ways.",
        place="Section 1.1 and 4",
        quantity="test accuracy of the last epoch: best sparse net less the best with bottlenecks",
        measure=sparsity_leads,
        above=0,
    ),
)
