"""Whether two quantities rise and fall together over the points of a figure."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from wider.evidence._interval import Evidence, bootstrapped
from wider.evidence._selection import FEWEST_POINTS


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of two quantities, each a mean over seeds.

    Attributes:
        evidence: the correlation, with its bootstrap interval over seeds; None where there are too
            few points or seeds.
    """

    evidence: Evidence | None

    @property
    def note(self) -> str:
        """For the lines under a title; empty where there is no value."""
        return f"; rank correlation {self._text(' ({} to {})')}" if self.evidence else ""

    def sentence(self, what: str) -> str:
        """For a caption; empty where there is no value."""
        if self.evidence is None:
            return ""
        return f"Rank correlation of {what}: {self._text(', 95% interval {} to {}')}."

    def _text(self, ends: str) -> str:
        assert self.evidence is not None
        value, *interval = self.evidence.effect
        if not all(map(math.isfinite, interval)):
            return f"{value:.2f}"
        return f"{value:.2f}" + ends.format(*(f"{end:.2f}" for end in interval))


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
    finished = table.loc[table["status"] == "finished", ["seed", *by, first, second]]
    both = finished.groupby(["seed", *by]).mean()
    values = [both[column].unstack(by).dropna(axis="columns") for column in (first, second)]
    points = values[0].columns.intersection(values[1].columns)
    one, other = (each[points].to_numpy() for each in values)
    seeds = len(one)
    if not seeds or len(points) < FEWEST_POINTS:
        return Correlation(None)

    def correlate(drawn: Int[np.ndarray, "samples seeds"]) -> Float[np.ndarray, " samples"]:
        return _spearman(one[drawn].mean(-2), other[drawn].mean(-2))

    words = "means over seeds, bootstrapped over seeds"
    return Correlation(Evidence(bootstrapped(correlate, seeds), seeds, words))


def _spearman(
    first: Float[np.ndarray, "samples points"], second: Float[np.ndarray, "samples points"]
) -> Float[np.ndarray, " samples"]:
    # scipy's own takes one sample at a time, which makes a bootstrap a thousand times slower.
    ranks = (pd.DataFrame(values).rank(axis="columns").to_numpy() for values in (first, second))
    first, second = (each - each.mean(-1, keepdims=True) for each in ranks)
    return (first * second).sum(-1) / np.sqrt((first**2).sum(-1) * (second**2).sum(-1))
