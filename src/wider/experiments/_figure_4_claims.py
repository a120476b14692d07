"""What the paper says of the MLP on MNIST."""

from collections.abc import Callable, Collection
from typing import Any

import pandas as pd

from wider.experiments._claim import (
    Claim,
    Contrast,
    Evidence,
    Measure,
    by_seed,
    measured,
    picked_and_confirmed,
)
from wider.models import Activation

POINT = ["width", "output_connectivity"]  # of a cell
BASE_WIDTH = 5
WIDTHS = (5, 10, 20, 40, 80, 160, 320)  # that leave the last layer dense
BEST_WIDTHS = (80, 160)
MARGIN = 0.3  # points, about twice the deviation of one run over seeds
ACCURACY = "test accuracy of the best epoch, last layer dense"


def gain(activation: Activation) -> Measure:
    """The best sparse net less the dense baseline."""

    def pick(means: pd.Series) -> Contrast:
        best: Any = means.drop(BASE_WIDTH).idxmax()
        return Contrast(
            {best: 1, BASE_WIDTH: -1}, f"width {best} less the dense net of width {BASE_WIDTH}"
        )

    return _by_width(activation, pick)


def optimum(activation: Activation, widths: Collection[int]) -> Measure:
    """The best net of some widths less the best one of all others."""

    def pick(means: pd.Series) -> Contrast:
        is_theirs = means.index.isin(widths)
        theirs, rival = means[is_theirs].idxmax(), means[~is_theirs].idxmax()
        return Contrast({theirs: 1, rival: -1}, f"width {theirs} less width {rival}")

    return _by_width(activation, pick)


def level(activation: Activation, paper: float, widths: Collection[int]) -> Measure:
    """The best net of some widths less the paper's accuracy; one width need not be picked."""

    def contrast(width: Any) -> Contrast:
        return Contrast({width: 1}, f"width {width} less the paper's {paper:.1%}", less=paper)

    def measure(table: pd.DataFrame, confidence: float) -> Evidence | None:
        values = _values(table, activation)
        if values is None:
            return None
        if len(widths) == 1:
            return measured(values, contrast(*widths), confidence)
        return picked_and_confirmed(
            values,
            lambda means: contrast(means[means.index.isin(widths)].idxmax()),
            confidence,
        )

    return measure


def dense_last_layer(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """At the better of two widths, a dense last layer less one that keeps half of its weights."""
    relu = table[(table["activation"] == "relu") & table["width"].isin(BEST_WIDTHS)]
    values = by_seed(relu[relu["output_connectivity"].round(1).isin([1.0, 0.5])], POINT)

    def pick(means: pd.Series) -> Contrast:
        best: Any = means.xs(1.0, level=1).idxmax()
        return Contrast(
            {(best, 1.0): 1, (best, 0.5): -1},
            f"width {best}, last layer dense less last layer at half",
        )

    if len(values.columns) < 2 * len(BEST_WIDTHS):
        return None
    return picked_and_confirmed(values, pick, confidence)


def _by_width(activation: Activation, pick: Callable[[pd.Series], Contrast]) -> Measure:
    def measure(table: pd.DataFrame, confidence: float) -> Evidence | None:
        values = _values(table, activation)
        return None if values is None else picked_and_confirmed(values, pick, confidence)

    return measure


def _values(table: pd.DataFrame, activation: Activation) -> pd.DataFrame | None:
    """Nets with a dense last layer, by width; None where one has not been run."""
    wanted = (table["activation"] == activation) & (table["output_connectivity"] == 1)
    values = by_seed(table[wanted], ["width"])
    return values if set(WIDTHS) <= set(values.columns) else None


CLAIMS = (
    Claim(
        name="figure-4-relu-gain",
        says="At equal weights, a wide and sparse ReLU MLP beats the dense one.",
        place="Section 2.3, Figure 4",
        quantity=f"{ACCURACY}: best sparse net less the dense baseline",
        measure=gain("relu"),
        above=0,
    ),
    Claim(
        name="figure-4-relu-optimum",
        says="The ReLU MLP is best at connectivity .06 or .03, which is width 80 or 160.",
        place="Section 2.3, Figure 4",
        quantity=f"{ACCURACY}: best net of these widths less the best of any other",
        measure=optimum("relu", (80, 160)),
        above=0,
    ),
    Claim(
        name="figure-4-relu-level",
        says="At its best width the ReLU MLP reaches 96.3%.",
        place="Section 2.3, Figure 4",
        quantity=f"{ACCURACY}: best net of width 80 or 160 less 96.3%",
        measure=level("relu", 0.963, (80, 160)),
        above=-MARGIN,
        below=MARGIN,
    ),
    Claim(
        name="figure-4-relu-baseline",
        says="The dense ReLU net with the same number of weights reaches about 90%.",
        place="Figure 4",
        quantity=f"{ACCURACY}: dense net of width 5 less 90%",
        measure=level("relu", 0.90, (BASE_WIDTH,)),
        above=-1,
        below=1,
    ),
    Claim(
        name="figure-4-last-layer",
        says="At the optimum the last layer stays dense: its weights matter more.",
        place="Section 2.3, Figure 4",
        quantity="test accuracy of the best epoch: last layer dense less last layer at half, ReLU",
        measure=dense_last_layer,
        above=0,
    ),
    Claim(
        name="figure-4-linear-gain",
        says="A linear MLP gains from width, too, though it can express no more.",
        place="Section 2.3, Figure 4",
        quantity=f"{ACCURACY}: best sparse linear net less the dense baseline",
        measure=gain("identity"),
        above=0,
    ),
    Claim(
        name="figure-4-linear-optimum",
        says="The linear MLP is best near connectivity .13, which is width 40.",
        place="Section 2.3, Figure 4",
        quantity=f"{ACCURACY}: best linear net of width 40 less the best of any other width",
        measure=optimum("identity", (40,)),
        above=0,
    ),
    Claim(
        name="figure-4-linear-level",
        says="At its best width the linear MLP reaches 92.7%.",
        place="Section 2.3, Figure 4",
        quantity=f"{ACCURACY}: best linear net of width 40 less 92.7%",
        measure=level("identity", 0.927, (40,)),
        above=-MARGIN,
        below=MARGIN,
    ),
)
