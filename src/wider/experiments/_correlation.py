"""Rank correlations over the points of a figure, with their intervals."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

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


def rank_correlation(table: pd.DataFrame, first: str, second: str, *, by: list[str]) -> Correlation:
    """Correlates two columns over points, between means over seeds.

    The interval says how far other seeds would have moved the value. It does not say what other
    points would have given: those of a figure are no random sample.

    Args:
        table: one row per run, with "status" and "seed"; only finished runs count.
        first: a column.
        second: another.
        by: the columns that name a point. Points that not every seed has are left out.
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

    def correlate(rows: np.ndarray) -> float:
        return pd.Series(one[rows].mean(0)).corr(pd.Series(other[rows].mean(0)), method="spearman")

    interval = bootstrap(
        (np.arange(seeds),),
        correlate,
        n_resamples=2000,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Correlation(correlate(np.arange(seeds)), interval.low, interval.high, seeds)
