"""Where two curves meet, against closed forms."""

import pytest

from wider.bench import break_even

POSITIONS = (0.01, 0.1, 1.0)


@pytest.mark.parametrize("power", [1.0, 0.5, 2.0])
def test_a_power_law_meets_a_constant_where_it_should(power: float):
    # 8 x^p = 2 at x = (1 / 4)^(1 / p): straight between logarithms, so the interpolation is exact.
    seconds = [8 * x**power for x in POSITIONS]
    equal = break_even(POSITIONS, seconds, [2.0] * 3)
    assert equal == pytest.approx(0.25 ** (1 / power), rel=1e-12)


def test_it_does_not_matter_who_is_ahead_first():
    seconds, rival = [1.0, 2.0, 40.0], [10.0, 10.0, 10.0]
    assert break_even(POSITIONS, seconds, rival) == pytest.approx(
        break_even(POSITIONS, rival, seconds)
    )


def test_a_tie_at_a_measured_position_is_that_position():
    assert break_even(POSITIONS, [1, 2, 4], [2, 2, 2]) == pytest.approx(0.1)


def test_the_first_of_several_counts():
    assert break_even((1, 2, 4), [1, 4, 1], [2, 2, 2]) == pytest.approx(2**0.5)


@pytest.mark.parametrize("rival", [9.0, 0.5])
def test_curves_that_do_not_meet(rival: float):
    assert break_even(POSITIONS, [1, 2, 4], [rival] * 3) is None
