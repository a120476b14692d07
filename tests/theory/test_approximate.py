import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from wider.errors import InputError
from wider.theory import (
    approximate_best_connectivity,
    approximate_kernel_distance,
    averaged_kernel_distance,
    kernel_distance,
)

F64 = torch.float64


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.floats(1e-4, 1))
def test_equation_6_as_it_is_printed(dim: int, width: int, connectivity: float):
    p, d, n = connectivity, dim, width
    off_diagonal = (
        1 / (4 * d) * (1 / 4 * (1 / math.sqrt(p) - 1) ** 2 + d / n * (1 - 1 / math.pi**2))
    )
    diagonal = 1 / n * (5 / 4 + 3 / (d * p))
    assert approximate_kernel_distance(d, width=n, connectivity=p) == pytest.approx(off_diagonal)
    found = approximate_kernel_distance(d, width=n, connectivity=p, same_input=True)
    assert found == pytest.approx(diagonal)


def test_equation_6_worked_out_by_hand():
    # d = 100, n = 50, p = 1/4: 1/400 (1/4 (2 - 1)^2 + 2 (1 - 0.1013212)) = 2.0473576 / 400.
    found = approximate_kernel_distance(100, width=50, connectivity=0.25)
    assert found == pytest.approx(0.005118394, rel=1e-6)
    # 1/50 (1.25 + 3 / 25).
    found = approximate_kernel_distance(100, width=50, connectivity=0.25, same_input=True)
    assert found == pytest.approx(0.0274)


def test_a_dense_net_has_no_bias():
    # Cos t of independent vectors is 0: E[F4] / d^2 = 1/4, (F2 / d)^2 = 1 / (4 pi^2).
    expected = (1 / 4 - 1 / (4 * math.pi**2)) / 8
    assert approximate_kernel_distance(784, width=8, connectivity=1.0) == pytest.approx(expected)


@pytest.mark.parametrize(("dim", "base_width"), [(784, 8), (784, 5), (64, 1), (3072, 40)])
def test_equation_6_is_lowest_near_its_optimum(dim: int, base_width: int):
    lowest: Any = minimize_scalar(
        lambda log_width: approximate_kernel_distance(
            dim, width=round(math.exp(log_width)), connectivity=base_width / math.exp(log_width)
        ),
        bounds=(math.log(base_width), math.log(100 * base_width)),
        method="bounded",
    )
    best = approximate_best_connectivity(dim, base_width=base_width)
    assert best == pytest.approx(math.sqrt(base_width / (4 * dim)))
    # The law keeps the leading order: sqrt(p) is left out beside 1.
    assert base_width / math.exp(lowest.x) == pytest.approx(best, rel=0.35)


def test_the_optimum_is_that_of_large_nets_but_for_the_factor_that_it_drops():
    dim, base_width = 10**8, 10
    best = approximate_best_connectivity(dim, base_width=base_width) / math.sqrt(1 - math.pi**-2)
    widths = [round(base_width / best * factor) for factor in (0.9, 0.95, 1, 1.05, 1.1)]
    distances = [
        approximate_kernel_distance(dim, width=width, connectivity=base_width / width)
        for width in widths
    ]
    assert min(distances) == distances[2]


def test_figure_7s_optimum():
    width = 8 / approximate_best_connectivity(784, base_width=8)
    assert width == pytest.approx(2 * math.sqrt(8 * 784))
    assert round(width) == 158


def test_best_connectivity_is_at_most_1():
    assert approximate_best_connectivity(2, base_width=1000) == 1.0


@pytest.mark.parametrize(("width", "ratio"), [(8, 1.0), (32, 1.0), (128, 1.31), (512, 7.45)])
def test_on_the_inputs_that_equation_6_assumes(width: int, ratio: float):
    """It is too large for sparse nets, as docs/theory.md says, where the average is right."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 300, 784, dtype=F64, generator=generator)
    net = {"width": width, "connectivity": 8 / width}
    exact = float(kernel_distance(x, y, num_masks=1024, **net).distances.mean())
    assert approximate_kernel_distance(784, **net) / exact == pytest.approx(ratio, rel=0.03)
    assert averaged_kernel_distance(784, **net) / exact == pytest.approx(1, abs=0.05)


def test_the_diagonal_on_the_inputs_that_it_assumes():
    x = torch.randn(300, 784, dtype=F64, generator=torch.Generator().manual_seed(0))
    for width in (8, 32, 128):
        net = {"width": width, "connectivity": 8 / width}
        exact = float(kernel_distance(x, x, num_masks=1024, **net).distances.mean())
        found = approximate_kernel_distance(784, same_input=True, **net)
        assert found == pytest.approx(exact, rel=0.05)


def test_the_average_worked_out_by_hand():
    # a d = 100: variance (0.2246697 + 0.0075) / 50, bias (1/100 - 1/1000) / (4 pi) = 7.16197e-4.
    found = averaged_kernel_distance(1000, width=50, connectivity=0.1)
    assert found == pytest.approx(0.00464339 + 5.12938e-7, rel=1e-5)
    dense = averaged_kernel_distance(784, width=8, connectivity=1.0)
    assert dense == pytest.approx(((math.pi**2 - 1) / (4 * math.pi**2) + 3 / (4 * 784)) / 8)


@pytest.mark.parametrize("formula", [approximate_kernel_distance, averaged_kernel_distance])
def test_bad_input(formula: Any):
    with pytest.raises(InputError, match="dim is 0"):
        formula(0, width=3, connectivity=0.5)
    with pytest.raises(InputError, match="connectivity is 2"):
        formula(4, width=3, connectivity=2)
    with pytest.raises(InputError, match="base_width is 0"):
        approximate_best_connectivity(4, base_width=0)
