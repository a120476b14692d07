"""Statistics of the points of a figure, with intervals over seeds."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import bootstrap, rankdata

from wider.experiments._claim import Interval

FEWEST = 3  # points, and seeds


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of two quantities, each a mean over seeds.

    Attributes:
        value: the correlation; NaN where there are too few points or seeds.
        low: lower end of its 95% interval, from a percentile bootstrap over seeds.
        high: upper end.
        seeds: that have every point.
    """

    value: float
    low: float
    high: float
    seeds: int

    @property
    def note(self) -> str:
        """For the lines under a title; empty where there is no value."""
        if math.isnan(self.value):
            return ""
        return f"; rank correlation {self.value:.2f} ({self.low:.2f} to {self.high:.2f})"

    def sentence(self, what: str) -> str:
        """For a caption; empty where there is no value."""
        if math.isnan(self.value):
            return ""
        return (
            f"Rank correlation of {what}: {self.value:.2f}, 95% interval {self.low:.2f} to "
            f"{self.high:.2f}."
        )


def rank_correlation(
    table: pd.DataFrame, first: str, second: str, *, by: list[str], confidence: float = 0.95
) -> Correlation:
    """Correlates two columns over points, between means over seeds.

    The interval says how far other seeds would have moved the value. It does not say what other
    points would have given: those of a figure are no random sample.

    Args:
        table: one row per run, with "status" and "seed"; only finished runs count.
        first: a column.
        second: another.
        by: the columns that name a point. Points that not every seed has are left out.
        confidence: of the interval.
    """
    finished = table[table["status"] == "finished"]
    values = [
        finished.pivot_table(index="seed", columns=by, values=column).dropna(axis="columns")
        for column in (first, second)
    ]
    points = values[0].columns.intersection(values[1].columns)
    one, other = (each[points].to_numpy() for each in values)
    seeds = len(one)
    if min(seeds, len(points)) < FEWEST:
        return Correlation(math.nan, math.nan, math.nan, seeds)

    def correlate(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        assert axis == -1  # seeds drawn, for each resample
        return _spearman(one[drawn].mean(-2), other[drawn].mean(-2))

    return Correlation(*bootstrapped(correlate, seeds, confidence), seeds)


def bootstrapped(
    statistic: Callable[..., np.ndarray], num_seeds: int, confidence: float
) -> Interval:
    """A statistic of some seeds with its percentile interval over seeds.

    Args:
        statistic: of the numbers of the seeds that were drawn, for each resample.
        num_seeds: there are.
        confidence: of the interval.
    """
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


def _spearman(
    first: Float[np.ndarray, "*samples points"], second: Float[np.ndarray, "*samples points"]
) -> Float[np.ndarray, "*samples"]:
    # scipy's own takes one sample at a time, which makes a bootstrap a thousand times slower.
    ranks = (rankdata(values, axis=-1) for values in (first, second))
    first, second = (each - each.mean(-1, keepdims=True) for each in ranks)
    return (first * second).sum(-1) / np.sqrt((first**2).sum(-1) * (second**2).sum(-1))
