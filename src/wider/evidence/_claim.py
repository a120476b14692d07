"""A sentence that runs can check, and the rule by which they do."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from wider.evidence._interval import CONFIDENCE, Evidence

Measure = Callable[[pd.DataFrame], Evidence | None]
Outcome = Literal["supported", "contradicted", "inconclusive", "not yet run"]
SMALLEST_P = 1e-9


@dataclass(frozen=True)
class Claim:
    """What the paper says, in our words, and what would show it to be so.

    Attributes:
        name: such as "figure-4-relu-gain"; names it in links.
        says: the sentence.
        place: where the paper says it.
        quantity: what is measured, in words.
        measure: from a table of runs to the evidence; None where runs that are needed are not
            there.
        subject: under which readers find it.
        above: the claim holds where the quantity is larger than this,
        below: and smaller than this.
        unit: of the quantity; "points" of accuracy are hundredths.
        dataset: whose runs count; all of them where it is None.
    """

    name: str
    says: str
    place: str
    quantity: str
    measure: Measure
    subject: str
    above: float = -math.inf
    below: float = math.inf
    unit: str = "points"
    dataset: str | None = None

    def runs_of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Those runs of a table that count."""
        return table if self.dataset is None else table[table["dataset"] == self.dataset]

    def outcome(self, evidence: Evidence, confidence: float = CONFIDENCE) -> Outcome:
        """Supported where the whole interval is in the claim's range, contradicted where it is out.

        Where the quantity is just at the border, either word is wrong, and each comes out in at
        most half of the cases that the interval misses: 2.5% at 95% confidence.
        """
        _, low, high = evidence.interval(confidence)
        if self._is_above(low) and self._is_below(high):
            return "supported"
        if low >= self.below or high <= self.above:
            return "contradicted"
        return "inconclusive"

    def p_value(self, evidence: Evidence) -> float:
        """The smallest risk, 1 - confidence, at which there is an outcome other than inconclusive.

        The runs speak for one of the two words alone, whatever the confidence, since a higher one
        only makes the interval longer.
        """
        if self.outcome(evidence, 0.0) == "inconclusive":
            return 1.0
        decided, undecided = 0.0, math.log10(SMALLEST_P)  # of the risk, as a power of ten
        for _ in range(20):
            middle = (decided + undecided) / 2
            if self.outcome(evidence, 1 - 10**middle) == "inconclusive":
                undecided = middle
            else:
                decided = middle
        return 10**decided

    @property
    def holds_where(self) -> str:
        """The border in words, for readers."""
        ends = []
        if math.isfinite(self.above):
            ends.append(f"above {self.above:g}")
        if math.isfinite(self.below):
            ends.append(f"below {self.below:g}")
        return " and ".join(ends)

    @property
    def has_chosen_border(self) -> bool:
        """Whether somebody had to say how much is meant, rather than more or less than nothing."""
        return any(math.isfinite(border) and border != 0 for border in (self.above, self.below))

    def _is_above(self, low: float) -> bool:
        return math.isinf(self.above) or low > self.above

    def _is_below(self, high: float) -> bool:
        return math.isinf(self.below) or high < self.below


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected for how many they are: of those at most r, none is wrong but for a risk of r.

    Args:
        p_values: of every claim that was tested, in any order.

    Returns:
        The corrected ones, in the same order, each at least as large as before and at most 1.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of
        Statistics, 1979.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected
