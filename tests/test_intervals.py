"""Margins of Student's t, against scipy's distribution and by hand."""

import numpy as np
import pytest
from scipy import stats

from wider.intervals import t_margin


@pytest.mark.parametrize("degrees", [1, 2, 3.7, 30])
@pytest.mark.parametrize("risk", [0.025, 0.005, 0.2])
def test_a_margin_is_the_quantile_times_the_error(degrees: float, risk: float):
    expected = stats.t.ppf(1 - risk, degrees) * 0.3
    assert t_margin(0.3, degrees, risk) == pytest.approx(expected, rel=1e-9)


def test_the_confidence_is_95_percent():
    # The 97.5% quantile with two degrees of freedom, from a printed table.
    assert t_margin(1.0, 2) == pytest.approx(4.302653, abs=1e-6)


def test_an_error_of_nothing_has_no_margin_and_one_seed_has_no_end():
    found = t_margin(np.array([0.0, np.nan, 1.0]), np.array([2.0, 0.0, 0.0]))
    assert found.tolist() == [0.0, np.inf, np.inf]
