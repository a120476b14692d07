"""An estimate and how sure it is: by a formula, or over seeds that are drawn anew."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, stdtrit

from wider.intervals import CONFIDENCE

FEWEST_SEEDS = 5  # of fewer there are too few different samples
RESAMPLES = 5000


class Interval(NamedTuple):
    """An estimate and its interval; an end that cannot be known is infinite."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evidence:
    """What runs say about a quantity.

    Attributes:
        interval: from a confidence, such as 0.95, to the estimate with its interval; a higher
            confidence gives an interval that holds the lower one's.
        seeds: the fewest that a net of those compared has.
        compared: which nets, and of how many they are the best, in words.
    """

    interval: Callable[[float], Interval]
    seeds: int
    compared: str

    @property
    def has_interval(self) -> bool:
        """Whether there are seeds enough for at least one end of it."""
        return not (math.isinf(self.effect.low) and math.isinf(self.effect.high))

    @cached_property
    def effect(self) -> Interval:
        """The interval of 95% confidence."""
        return self.interval(CONFIDENCE)


def bootstrapped(
    statistic: Callable[[Int[np.ndarray, "samples seeds"]], Float[np.ndarray, " samples"]],
    num_seeds: int,
) -> Callable[[float], Interval]:
    """A statistic of some seeds with its expanded percentile interval.

    A plain percentile interval is too short for few seeds: it has the normal quantile instead of
    Student's, and the deviation over n instead of n - 1. This one takes quantiles as far out as
    makes up for both.

    Args:
        statistic: of the numbers of the seeds that were drawn, for each sample.
        num_seeds: there are.

    Returns:
        From a confidence to the interval; without ends where so few seeds or samples cannot tell.

    Source:
        Hesterberg, What teachers should know about the bootstrap, The American Statistician, 2015.
    """
    value = float(statistic(np.arange(num_seeds)[None])[0])
    drawn = np.random.default_rng(0).integers(num_seeds, size=(RESAMPLES, num_seeds))
    found = np.sort(statistic(drawn))

    def interval(confidence: float) -> Interval:
        if num_seeds < FEWEST_SEEDS:
            return Interval(value, -math.inf, math.inf)
        student = stdtrit(num_seeds - 1, (1 - confidence) / 2)
        risk = float(ndtr(math.sqrt(num_seeds / (num_seeds - 1)) * student))
        if risk * RESAMPLES < 1:
            return Interval(value, -math.inf, math.inf)
        low, high = np.quantile(found, [risk, 1 - risk])
        return Interval(value, float(low), float(high))

    return interval
