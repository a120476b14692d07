"""What the paper says of kernels and their distance."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
import torch

from wider.evidence import (
    Claim,
    Contrast,
    Evidence,
    Interval,
    Mean,
    Nets,
    difference,
    means_over_seeds,
    place_of_best,
    rank_correlation,
)
from wider.randomness import stream
from wider.study._claims import Subject, accuracies, best_gain
from wider.study.kernel.runs import BASE_WIDTH, NUM_FEATURES, with_equation_6
from wider.theory import approximate_kernel_distance, kernel_distance

LAST_EPOCH = "final_test_accuracy"
STARVED = 635  # a width at which the first layer has two weights left
MANY = 30  # weights that a unit of the first layer has, for equation (6) to be meant for it
LAW_WIDTH = 2 * math.sqrt(BASE_WIDTH * NUM_FEATURES)  # at which equation (6) is smallest
DRAWS = 10  # of independent normal inputs, each with pairs and masks of its own
DRAWN = {"num_pairs": 100, "num_masks": 64}
PERCENT = 100.0


def gain(table: pd.DataFrame) -> Evidence | None:
    """The best sparse net less the dense one of the same number of weights."""
    nets = accuracies(_sparse(table), ["width"], LAST_EPOCH)
    return best_gain(nets) if BASE_WIDTH in nets else None


def correlation(table: pd.DataFrame) -> Evidence | None:
    """Rank correlation over widths of the measured distance and the test error."""
    rows = _sparse(table).assign(error=lambda each: 1 - each[LAST_EPOCH])
    return rank_correlation(rows, "kernel_distance", "error", by=["width"]).evidence


def doublings_apart(table: pd.DataFrame) -> Evidence | None:
    """Doublings from the width with the smallest distance to the one with the smallest error."""
    rows = _sparse(table)
    closeness = means_over_seeds(rows, ["width"], "kernel_distance", factor=-1)
    nets = accuracies(rows, ["width"], LAST_EPOCH)
    nearest, best = (place_of_best(each, math.log2) for each in (closeness, nets))
    if nearest is None or best is None:
        return None

    def interval(confidence: float) -> Interval:
        half = 1 - (1 - confidence) / 2
        near, good = nearest(half), best(half)
        return Interval(good.value - near.value, good.low - near.high, good.high - near.low)

    return Evidence(interval, nets.fewest_seeds(), f"as well as widths {_listed(nets)} can tell")


def doublings_from_law(table: pd.DataFrame) -> Evidence | None:
    """Doublings from the width of the smallest equation (6) to that of the smallest error."""
    nets = accuracies(_sparse(table), ["width"], LAST_EPOCH)
    best = place_of_best(nets, math.log2)
    if best is None:
        return None

    def interval(confidence: float) -> Interval:
        return Interval(*(end - math.log2(LAW_WIDTH) for end in best(confidence)))

    words = f"from width {LAW_WIDTH:.0f}, as well as widths {_listed(nets)} can tell"
    return Evidence(interval, nets.fewest_seeds(), words)


def theorem_agrees(table: pd.DataFrame) -> Evidence | None:
    """The measured distance over Theorem 1's, less 1, in percent; mean over widths."""
    sparse = _sparse(table)
    sparse = sparse[sparse["width"] < STARVED]
    ratios = sparse.assign(ratio=sparse["kernel_distance"] / sparse["theorem_1"] - 1)
    nets = means_over_seeds(ratios, ["width"], "ratio", factor=PERCENT)
    if not len(nets):
        return None
    mean = {net: 1 / len(nets) for net in nets}
    return difference(nets, Contrast(mean, f"widths {_listed(nets)}"))


def equation_6_agrees(table: pd.DataFrame) -> Evidence | None:
    """How far equation (6) is from the measured distance, either way, in percent."""
    sparse = _with_many_weights(table)
    formula = sparse.groupby("width")["equation_6"].first()
    if formula.empty:
        return None
    ratios = sparse.assign(ratio=sparse["kernel_distance"] / sparse["width"].map(formula))
    nets = means_over_seeds(ratios, ["width"], "ratio")
    return _deviation(nets, f"widths {_listed(nets)}")


def equation_6_on_its_inputs(table: pd.DataFrame) -> Evidence | None:
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
    drawn = pd.DataFrame([_ratios(tuple(nets), seed) for seed in range(DRAWS)], columns=nets)
    ratios = Nets({net: _mean(drawn[net].to_numpy()) for net in nets})
    widths = ", ".join(str(width) for width, _ in nets)
    return _deviation(ratios, f"widths {widths}; nets are not sampled: Theorem 1")


def _deviation(ratios: Nets, words: str) -> Evidence:
    """The mean over nets of how far a formula is off, from the ratios of what it is held against.

    The mean of |deviation| would grow with the noise over seeds. So each net's deviation has its
    interval, all of them at once, and what is claimed is how large and how small they may be.
    """
    singles = [difference(ratios, Contrast({net: 1.0}, "")) for net in ratios]
    known = [each for each in singles if each is not None]

    def interval(confidence: float) -> Interval:
        shared = 1 - (1 - confidence) / len(known)
        found = [each.interval(shared) for each in known]
        ends = [_off(max(each.low, 0.0), each.high) for each in found]
        return Interval(
            float(np.mean([_off(each.value, each.value)[1] for each in found])),
            float(np.mean([low for low, _ in ends])),
            float(np.mean([high for _, high in ends])),
        )

    return Evidence(interval, ratios.fewest_seeds(), words)


def _off(low: float, high: float) -> tuple[float, float]:
    """How far 1 / ratio may be from 1, in percent, for a ratio between two ends."""
    ends = [PERCENT * (1 / end - 1) if end > 0 else math.inf for end in (low, high)]
    sizes = [abs(end) for end in ends]
    return (0.0 if low < 1 < high else min(sizes)), max(sizes)


@cache
def _ratios(nets: tuple[tuple[int, float], ...], seed: int) -> Sequence[float]:
    """Theorem 1 over equation (6), of each net, on inputs of one seed."""
    generator = stream(seed, "figure-7", "normal inputs")
    size = (2, DRAWN["num_pairs"], NUM_FEATURES)
    x, y = torch.randn(size, dtype=torch.float64, generator=generator)
    ratios = []
    for width, connectivity in nets:
        net = {"width": width, "connectivity": connectivity}
        exact = kernel_distance(x, y, num_masks=DRAWN["num_masks"], seed=seed, **net)
        formula = approximate_kernel_distance(NUM_FEATURES, **net)
        ratios.append(float(exact.distances.mean()) / formula)
    return ratios


def _mean(values: np.ndarray) -> Mean:
    return Mean(float(values.mean()), float(values.var(ddof=1)) / len(values), len(values))


def _with_many_weights(table: pd.DataFrame) -> pd.DataFrame:
    sparse = with_equation_6(_sparse(table))
    return sparse[sparse["hidden_connectivity"] * NUM_FEATURES >= MANY]


def _listed(nets: Nets) -> str:
    return ", ".join(str(net) for net in sorted(nets))


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
        subject=Subject.WIDTH,
        above=0,
    ),
    Claim(
        name="figure-7-correlation",
        says="Performance goes with the distance of the kernel from its infinitely wide limit.",
        place="Section 4, Figure 7b",
        quantity="rank correlation of measured distance and test error over widths",
        measure=correlation,
        subject=Subject.KERNELS,
        above=0.5,
        unit="",
    ),
    Claim(
        name="figure-7-optimum",
        says="The distance is smallest, and the net best, at a similar width.",
        place=PLACE,
        quantity="doublings from the width of the smallest distance to that of the smallest error; "
        "similar: within one doubling",
        measure=doublings_apart,
        subject=Subject.KERNELS,
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
        subject=Subject.KERNELS,
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
        subject=Subject.KERNELS,
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
        subject=Subject.KERNELS,
        below=20,
        unit="percent",
    ),
    Claim(
        name="figure-7-equation-6-inputs",
        says="Equation (6) agrees with Theorem 1 on the independent normal inputs that it assumes.",
        place="Appendix F.1",
        quantity="deviation of equation (6) from Theorem 1, either way; mean over the same widths",
        measure=equation_6_on_its_inputs,
        subject=Subject.KERNELS,
        below=20,
        unit="percent",
    ),
)
