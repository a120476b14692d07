"""What the paper says of kernels and their distance."""

import math
from functools import cache

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from wider.experiments._claim import (
    Claim,
    Contrast,
    Evidence,
    Interval,
    by_seed,
    mean_interval,
    picked_and_confirmed,
)
from wider.experiments._correlation import FEWEST, bootstrapped, rank_correlation
from wider.experiments._figure_7_runs import BASE_WIDTH, NUM_FEATURES
from wider.experiments._table import with_equation_6
from wider.randomness import stream
from wider.theory import approximate_kernel_distance, kernel_distance

LAST_EPOCH = "final_test_accuracy"
STARVED = 635  # a width at which the first layer has two weights left
RESAMPLED = "means over seeds, bootstrapped over seeds"
MANY = 30  # weights that a unit of the first layer has, for equation (6) to be meant for it
LAW_WIDTH = 2 * math.sqrt(BASE_WIDTH * NUM_FEATURES)  # at which equation (6) is smallest
DRAWS = 10  # of independent normal inputs, each with pairs and masks of its own
DRAWN = {"num_pairs": 100, "num_masks": 256}


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

    effect = bootstrapped(apart, len(seeds), confidence)
    return Evidence(effect, len(seeds), RESAMPLED)


def doublings_from_law(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """Doublings from the width of the smallest equation (6) to that of the smallest error."""
    accuracy = by_seed(_sparse(table), ["width"], LAST_EPOCH).dropna()
    if len(accuracy) < FEWEST or len(accuracy.columns) < FEWEST:
        return None
    widths = np.log2(accuracy.columns.to_numpy(dtype=float))
    values = accuracy.to_numpy()

    def apart(drawn: np.ndarray, axis: int = -1) -> Float[np.ndarray, "*samples"]:
        assert axis == -1
        return widths[values[drawn].mean(-2).argmax(-1)] - math.log2(LAW_WIDTH)

    words = f"from width {LAW_WIDTH:.0f}, among widths {', '.join(map(str, accuracy.columns))}"
    effect = bootstrapped(apart, len(values), confidence)
    return Evidence(effect, len(values), f"{words}; {RESAMPLED}")


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


def equation_6_agrees(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """How far equation (6) is from the measured distance, either way, in percent."""
    sparse = _with_many_weights(table)
    values = by_seed(sparse, ["width"], "kernel_distance").dropna()
    if len(values) < FEWEST:
        return None
    measured = values.to_numpy()
    predicted = sparse.groupby("width")["equation_6"].mean()[values.columns].to_numpy()

    # Means over seeds first: a single net's distance is far from its mean in either direction.
    def deviation(drawn: np.ndarray, axis: int = -1) -> Float[np.ndarray, "*samples"]:
        assert axis == -1
        return 100 * np.abs(predicted / measured[drawn].mean(-2) - 1).mean(-1)

    effect = bootstrapped(deviation, len(values), confidence)
    return Evidence(effect, len(values), f"{_listed(values)}; {RESAMPLED}")


def equation_6_on_its_inputs(table: pd.DataFrame, confidence: float) -> Evidence | None:
    """How far equation (6) is from Theorem 1 on independent normal inputs, in percent.

    At the widths and connectivities of the runs, from which nothing else is taken.
    """
    rows = _with_many_weights(table).drop_duplicates("width").sort_values("width")
    nets = [
        (int(width), float(connectivity))
        for width, connectivity in rows[["width", "hidden_connectivity"]].itertuples(index=False)
    ]
    if not nets:
        return None
    deviations = pd.Series([_mean_deviation(tuple(nets), seed) for seed in range(DRAWS)])
    words = f"widths {', '.join(str(width) for width, _ in nets)}; nets are not sampled: Theorem 1"
    return Evidence(mean_interval(deviations, confidence), DRAWS, words)


@cache
def _mean_deviation(nets: tuple[tuple[int, float], ...], seed: int) -> float:
    generator = stream(seed, "figure-7", "normal inputs")
    size = (2, DRAWN["num_pairs"], NUM_FEATURES)
    x, y = torch.randn(size, dtype=torch.float64, generator=generator)
    deviations = []
    for width, connectivity in nets:
        net = {"width": width, "connectivity": connectivity}
        exact = kernel_distance(x, y, num_masks=DRAWN["num_masks"], seed=seed, **net)
        formula = approximate_kernel_distance(NUM_FEATURES, **net)
        deviations.append(100 * abs(formula / float(exact.distances.mean()) - 1))
    return sum(deviations) / len(deviations)


def _with_many_weights(table: pd.DataFrame) -> pd.DataFrame:
    sparse = with_equation_6(_sparse(table))
    return sparse[sparse["hidden_connectivity"] * NUM_FEATURES >= MANY]


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
        name="figure-7-law",
        says="The best width is that at which equation (6) is smallest, 2 sqrt(n0 d).",
        place="Section 3, below equation (6)",
        quantity=f"doublings from width {LAW_WIDTH:.0f} to that of the smallest error",
        measure=doublings_from_law,
        above=-1,
        below=1,
        unit="doublings",
    ),
    Claim(
        name="figure-7-equation-6",
        says="On images, equation (6) agrees with experiment where units keep many weights.",
        place="Section 3, equation (6)",
        quantity="deviation of equation (6) from the measured distance, either way; mean over "
        f"widths with {MANY} weights a unit or more",
        measure=equation_6_agrees,
        below=20,
        unit="percent",
    ),
    Claim(
        name="figure-7-equation-6-inputs",
        says="Equation (6) agrees with Theorem 1 on the independent normal inputs that it assumes.",
        place="Appendix F.1",
        quantity="deviation of equation (6) from Theorem 1, either way; mean over the same widths",
        measure=equation_6_on_its_inputs,
        below=20,
        unit="percent",
    ),
)
