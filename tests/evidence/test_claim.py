"""Words and p-values of claims, from intervals whose truth is known."""

import math
from typing import Any

import pytest
from scipy import stats

from wider.evidence import CONFIDENCE, Claim, Contrast, Evidence, Interval, Mean, Nets, holm
from wider.evidence import difference as difference_of


def claim(**ends: Any) -> Claim:
    return Claim("a", "it gains", "Section 1", "gain", lambda _: None, "Width", **ends)


def outcome(low: float, high: float, **ends: float) -> str:
    middle = (low + high) / 2
    return claim(**ends).outcome(Evidence(lambda _: Interval(middle, low, high), 5, ""))


def test_the_whole_interval_decides():
    assert outcome(0.1, 2, above=0) == "supported"
    assert outcome(-2, -0.1, above=0) == "contradicted"
    assert outcome(-1, 1, above=0) == "inconclusive"
    assert outcome(-0.2, 0.2, above=-0.3, below=0.3) == "supported"
    assert outcome(0.31, 0.5, above=-0.3, below=0.3) == "contradicted"
    assert outcome(-0.2, 0.4, above=-0.3, below=0.3) == "inconclusive"


def test_an_end_that_is_not_known_decides_nothing_on_its_side():
    assert outcome(-math.inf, math.inf, above=0) == "inconclusive"
    assert outcome(-math.inf, math.inf, below=0) == "inconclusive"
    assert outcome(0.1, math.inf, above=0) == "supported"
    assert outcome(0.1, math.inf, above=0, below=1) == "inconclusive"
    assert outcome(1.1, math.inf, above=0, below=1) == "contradicted"


def test_borders_are_told_in_words():
    assert claim(above=0).holds_where == "above 0"
    assert claim(above=-0.3, below=0.3).holds_where == "above -0.3 and below 0.3"


def test_the_p_value_is_that_of_welchs_test():
    means = Nets({0: Mean(1.0, 0.01, 4), 1: Mean(1.5, 0.04, 6)})
    evidence = difference_of(means, Contrast({1: 1, 0: -1}, ""))
    assert evidence is not None
    expected = stats.ttest_ind_from_stats(
        1.5, math.sqrt(0.04 * 6), 6, 1.0, math.sqrt(0.01 * 4), 4, equal_var=False
    ).pvalue
    assert claim(above=0).p_value(evidence) == pytest.approx(expected, rel=1e-4)
    assert claim(below=0).p_value(evidence) == pytest.approx(expected, rel=1e-4)
    assert (claim(above=0).outcome(evidence) == "supported") == (expected < 1 - CONFIDENCE)


def test_without_any_evidence_the_p_value_is_one():
    nothing = Evidence(lambda _: Interval(1.0, -math.inf, math.inf), 1, "")
    assert claim(above=0).p_value(nothing) == 1


def test_holms_correction_by_hand():
    # Sorted .01 .02 .03 .5: times 4, 3, 2, 1 = .04 .06 .06 .5, none below the one before.
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert holm([]) == []
