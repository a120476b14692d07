"""What numbers say about a sentence: intervals, comparisons, claims. Knows no figure."""

from wider.extras import need

need("study")

from wider.evidence._claim import Claim, Measure, Outcome, holm
from wider.evidence._compare import Contrast, at_best, best_less_best, difference, may_be_best
from wider.evidence._correlation import Correlation, rank_correlation
from wider.evidence._fraction import fraction_of_gain
from wider.evidence._interval import CONFIDENCE, Evidence, Interval
from wider.evidence._nets import Mean, Nets, means_over_seeds
from wider.evidence._place import place_of_best
from wider.evidence._resample import bootstrapped

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
    "at_best",
    "best_less_best",
    "bootstrapped",
    "difference",
    "fraction_of_gain",
    "holm",
    "may_be_best",
    "means_over_seeds",
    "place_of_best",
    "rank_correlation",
]
