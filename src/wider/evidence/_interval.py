"""An estimate and how sure it is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

CONFIDENCE = 0.95


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

    @cached_property
    def effect(self) -> Interval:
        """The interval of 95% confidence."""
        return self.interval(CONFIDENCE)
