import math

import numpy as np
import pytest
from scipy import stats

from wider.experiments._fraction import fraction_of_gain


def test_one_seed_has_a_ratio_but_no_interval():
    fraction = fraction_of_gain(np.array([0.03]), np.array([0.04]))
    assert fraction.value == pytest.approx(0.75)
    assert math.isnan(fraction.low)
    assert math.isnan(fraction.high)


@pytest.mark.parametrize("whole", [[], [0.0], [-0.01, -0.02]])
def test_no_gain_has_no_part(whole: list[float]):
    assert math.isnan(fraction_of_gain(np.array(whole), np.array(whole)).value)


def test_the_ends_are_those_that_a_t_test_just_rejects():
    part, whole = np.array([0.030, 0.034, 0.027, 0.031]), np.array([0.040, 0.043, 0.041, 0.038])
    fraction = fraction_of_gain(part, whole)
    assert fraction.low < fraction.value < fraction.high
    for end in (fraction.low, fraction.high):
        assert stats.ttest_1samp(part - end * whole, 0)[1] == pytest.approx(0.05)


def test_a_whole_gain_that_may_be_nothing_gives_no_interval():
    fraction = fraction_of_gain(np.array([0.01, 0.02]), np.array([-0.01, 0.03]))
    assert fraction.value == pytest.approx(1.5)
    assert math.isnan(fraction.high)


def test_the_interval_covers_the_true_ratio_in_95_of_100_cases():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        baseline = generator.normal(0, 0.003, 5)
        part = generator.normal(0.02, 0.003, 5) - baseline
        whole = generator.normal(0.04, 0.003, 5) - baseline
        fraction = fraction_of_gain(part, whole)
        covered += fraction.low <= 0.5 <= fraction.high
    # Two standard errors of a share of .95 among 2,000 are .0097.
    assert covered / 2000 == pytest.approx(0.95, abs=0.01)
