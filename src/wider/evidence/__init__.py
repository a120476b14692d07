"""What numbers say about a sentence: intervals, comparisons, claims. Knows no figure."""

from wider.extras import need

need("study")

from wider.evidence._claim import Claim, Measure, Outcome, holm
from wider.evidence._correlation import Correlation, rank_correlation
from wider.evidence._fraction import fraction_of_gain
from wider.evidence._interval import CONFIDENCE, Evidence, Interval, bootstrapped
from wider.evidence._means import Mean, Nets, means_over_seeds, over_seeds
from wider.evidence._selection import (
    Contrast,
    at_best,
    best_less_best,
    difference,
    may_be_best,
    place_of_best,
)
from wider.evidence._verdict import Verdict, corrected, verdict_on

__all__ = [
    "CONFIDENCE",
    "Claim",
    "Contrast",
    "Correlation",
    "Evidence",
    "Interval",
    "Mean",
    "Measure",
    "Nets",
    "Outcome",
    "Verdict",
    "at_best",
    "best_less_best",
    "bootstrapped",
    "corrected",
    "difference",
    "fraction_of_gain",
    "holm",
    "may_be_best",
    "means_over_seeds",
    "over_seeds",
    "place_of_best",
    "rank_correlation",
    "verdict_on",
]
