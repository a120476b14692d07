"""What the paper says of kernels and their distance."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import bootstrap

from wider.experiments._claim import (
    Claim,
    Contrast,
    Evidence,
    Interval,
    by_seed,
    mean_interval,
    picked_and_confirmed,
)
from wider.experiments._correlation import FEWEST, rank_correlation
from wider.experiments._figure_7_runs import BASE_WIDTH, NUM_FEATURES

LAST_EPOCH = "final_test_accuracy"
STARVED = 635  # a width at which the first layer has two weights left
RESAMPLED = "means over seeds, bootstrapped over seeds"
MANY = 40  # weights that a unit of the first layer has, for equation (6) to be meant for it


def gain(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The best sparse net less the dense one of the same number of weights."""
    values = by_seed(_sparse(table), ["width"], LAST_EPOCH)
    if BASE_WIDTH not in values or len(values.columns) < 2:
        return None

    def pick(means: pd.Series) -> Contrast:
        best = means.drop(BASE_WIDTH).idxmax()
        return Contrast({best: 1, BASE_WIDTH: -1}, f"width {best} less width {BASE_WIDTH}")

    return picked_and_confirmed(values, pick, confidence)


def correlation(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """Rank correlation over widths of the measured distance and the test error."""
    rows = _sparse(table).assign(error=lambda each: 1 - each[LAST_EPOCH])
    found = rank_correlation(rows, "kernel_distance", "error", by=["width"], confidence=confidence)
    if np.isnan(found.value):
        return None
    effect = Interval(found.value, found.low, found.high)
    return Evidence(effect, found.seeds, RESAMPLED)


def doublings_apart(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """Doublings from the width with the smallest distance to the one with the smallest error."""
    sparse = _sparse(table)
    distance = by_seed(sparse, ["width"], "kernel_distance")
    accuracy = by_seed(sparse, ["width"], LAST_EPOCH)
    seeds = distance.dropna().index.intersection(accuracy.dropna().index)
    if len(seeds) < FEWEST or len(distance.columns) < FEWEST:
        return None
    widths = np.log2(distance.columns.to_numpy(dtype=float))
    nearer, better = (each.loc[seeds].to_numpy() for each in (distance, accuracy))

    def apart(drawn: np.ndarray, axis: int = -1) -> Float[np.ndarray, "*samples"]:
        assert axis == -1
        nearest = nearer[drawn].mean(-2).argmin(-1)
        return widths[better[drawn].mean(-2).argmax(-1)] - widths[nearest]

    effect = _bootstrapped(apart, len(seeds), confidence)
    return Evidence(effect, len(seeds), RESAMPLED)


def theorem_agrees(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """The measured distance over Theorem 1's, less 1, in percent; mean over widths."""
    sparse = _sparse(table)
    sparse = sparse[sparse["width"] < STARVED]
    ratios = sparse.assign(ratio=sparse["kernel_distance"] / sparse["theorem_1"] - 1)
    values = by_seed(ratios, ["width"], "ratio").dropna()
    if values.empty:
        return None
    means = values.mean(axis="columns")
    return Evidence(mean_interval(100 * means, confidence), len(means), _listed(values))


def closed_form_agrees(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """How far equation (6) is from the measured distance, either way, in percent."""
    sparse = _sparse(table)
    sparse = sparse[sparse["connectivity"] * NUM_FEATURES >= MANY]
    values = by_seed(sparse, ["width"], "kernel_distance").dropna()
    if len(values) < FEWEST:
        return None
    measured = values.to_numpy()
    predicted = sparse.groupby("width")["closed_form"].mean()[values.columns].to_numpy()

    # Means over seeds first: a single net's distance is far from its mean in either direction.
    def deviation(drawn: np.ndarray, axis: int = -1) -> Float[np.ndarray, "*samples"]:
        assert axis == -1
        return 100 * np.abs(predicted / measured[drawn].mean(-2) - 1).mean(-1)

    effect = _bootstrapped(deviation, len(values), confidence)
    return Evidence(effect, len(values), f"{_listed(values)}; {RESAMPLED}")


def _bootstrapped(
    statistic: Callable[..., np.ndarray], num_seeds: int, confidence: float
) -> Interval:
    every = np.arange(num_seeds)
    found = bootstrap(
        (every,),
        statistic,
        n_resamples=2000,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(float(statistic(every)), float(found.low), float(found.high))


def _listed(values: pd.DataFrame) -> str:
    return f"widths {', '.join(map(str, values.columns))}"


def _sparse(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["method"] == "sparse") & (table["status"] == "finished")]


PLACE = "Section 3, Figure 7"
CLAIMS = (
    Claim(
        name="figure-7-gain",
        says="In NTK parametrisation, too, a wide and sparse MLP beats the dense one.",
        place=PLACE,
        quantity="test accuracy of the last epoch: best sparse net less the dense one of width 8",
        measure=gain,
        above=0,
    ),
    Claim(
        name="figure-7-correlation",
        says="Performance goes with the distance of the kernel from its infinitely wide limit.",
        place="Section 4, Figure 7b",
        quantity="rank correlation of measured distance and test error over widths",
        measure=correlation,
        above=0.5,
        unit="",
    ),
    Claim(
        name="figure-7-optimum",
        says="The distance is smallest, and the net best, at a similar width.",
        place=PLACE,
        quantity="doublings from the width of the smallest distance to that of the smallest error",
        measure=doublings_apart,
        above=-1,
        below=1,
        unit="doublings",
    ),
    Claim(
        name="figure-7-theorem-1",
        says="Theorem 1 gives the distance that nets have at initialisation.",
        place="Theorem 1, Figure 7b",
        quantity=f"measured over predicted distance, less 1; mean over the widths below {STARVED}",
        measure=theorem_agrees,
        above=-10,
        below=10,
        unit="percent",
    ),
    Claim(
        name="figure-7-equation-6",
        says="Equation (6) agrees with experiment where units keep many weights.",
        place="Section 3, equation (6)",
        quantity=f"deviation of equation (6), either way; mean over widths with {MANY} weights a "
        "unit or more",
        measure=closed_form_agrees,
        below=20,
        unit="percent",
    ),
)
