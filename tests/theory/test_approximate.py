import math
from typing import Any

import pytest
from scipy.optimize import minimize_scalar

from wider.errors import InputError
from wider.theory import approximate_best_connectivity, approximate_kernel_distance


def test_dense_net_has_no_bias():
    expected = ((math.pi**2 - 1) / (4 * math.pi**2) + 3 / (4 * 784)) / 8
    assert approximate_kernel_distance(784, width=8, connectivity=1.0) == pytest.approx(expected)


def test_against_numbers_worked_out_by_hand():
    # a d = 100: variance (0.2246697 + 0.0075) / 50, bias (1/100 - 1/1000) / (4 pi) = 7.16197e-4.
    assert approximate_kernel_distance(1000, width=50, connectivity=0.1) == pytest.approx(
        0.00464339 + 5.12938e-7, rel=1e-5
    )


@pytest.mark.parametrize("base_width", [1, 8, 50])
def test_best_connectivity_is_where_the_curve_is_lowest(base_width):
    # The closed form keeps the leading terms, in 1 / (connectivity dim).
    dim = 10**6

    def distance(log_connectivity):
        connectivity = math.exp(log_connectivity)
        inputs = connectivity * dim
        variance = ((math.pi**2 - 1) / (4 * math.pi**2)) * connectivity / base_width
        return (variance + (1 / (4 * math.pi * inputs)) ** 2) * 1e12

    lowest: Any = minimize_scalar(distance, bounds=(math.log(1e-6), 0), method="bounded")
    best = approximate_best_connectivity(dim, base_width=base_width)
    assert best == pytest.approx(math.exp(lowest.x), rel=1e-3)


def test_best_connectivity_agrees_with_equation_6_in_full():
    dim, base_width = 10**6, 50
    best = approximate_best_connectivity(dim, base_width=base_width)
    widths = range(base_width, round(3 * base_width / best), 500)
    lowest = min(
        widths,
        key=lambda width: approximate_kernel_distance(
            dim, width=width, connectivity=base_width / width
        ),
    )
    assert base_width / lowest == pytest.approx(best, rel=0.05)


def test_best_connectivity_is_at_most_1():
    assert approximate_best_connectivity(2, base_width=1000) == 1.0


def test_bad_input():
    with pytest.raises(InputError, match="dim is 0"):
        approximate_kernel_distance(0, width=3, connectivity=0.5)
    with pytest.raises(InputError, match="connectivity is 2"):
        approximate_kernel_distance(4, width=3, connectivity=2)
    with pytest.raises(InputError, match="base_width is 0"):
        approximate_best_connectivity(4, base_width=0)
