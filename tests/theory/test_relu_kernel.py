import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import dblquad

from wider.errors import InputError
from wider.theory import kernel_distance, relu_kernel

F64 = torch.float64


def vectors(rows, features, seed=0):
    return torch.randn(rows, features, dtype=F64, generator=torch.Generator().manual_seed(seed))


def test_kernel_of_a_vector_with_itself_is_half_its_mean_square():
    x = vectors(5, 7)
    torch.testing.assert_close(relu_kernel(x, x).diagonal(), x.square().sum(dim=1) / (2 * 7))


def test_orthogonal_and_opposite_vectors():
    x = torch.tensor([[3.0, 0.0]])
    y = torch.tensor([[0.0, 5.0], [-2.0, 0.0], [3.0, 3.0]], dtype=F64)
    at_45_degrees = 3 * math.sqrt(18) / (4 * math.pi) * (1 + 3 * math.pi / 4) / math.sqrt(2)
    expected = torch.tensor([[15 / (4 * math.pi), 0.0, at_45_degrees]], dtype=F64)
    torch.testing.assert_close(relu_kernel(x, y), expected, rtol=1e-14, atol=1e-16)


def test_zero_vectors_have_a_kernel_of_zero():
    x = torch.cat([torch.zeros(1, 4, dtype=F64), vectors(2, 4)])
    kernel = relu_kernel(x, x)
    assert torch.equal(kernel[0], torch.zeros(3, dtype=F64))
    assert torch.equal(kernel[:, 0], torch.zeros(3, dtype=F64))


def test_almost_parallel_vectors_keep_full_precision():
    # K_inf(x, y) is smooth in the angle at 0, so that an angle of 1e-9 must not show.
    x = vectors(1, 50)
    nudged = x * (1 + 1e-9 * vectors(1, 50, seed=1))
    torch.testing.assert_close(
        relu_kernel(x, nudged), (x * nudged).sum(dim=1)[None] / 100, rtol=1e-14, atol=0
    )


def test_almost_opposite_vectors_are_right_relative_to_their_norms():
    angle = math.pi - 1e-3
    x = torch.tensor([[1.0, 0.0]], dtype=F64)
    y = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=F64)
    expected = 1e-9 / 3 / (2 * math.pi) / 2  # s^3 / 3 to leading order in s = pi - angle
    assert relu_kernel(x, y).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("angle", [0.3, 1.5, 2.9])
def test_integrals_against_quadrature(angle):
    x, y = (2.0, 0.0), (1.5 * math.cos(angle), 1.5 * math.sin(angle))

    def integrand(direction, radius, power):
        u = (math.cos(direction), math.sin(direction))
        dots = (max(0.0, u[0] * v[0] + u[1] * v[1]) for v in (x, y))
        density = math.exp(-(radius**2) / 2) / (2 * math.pi)
        return math.prod(dots) ** power * radius ** (2 * power + 1) * density

    # relu(u.x) relu(u.y) is above 0 for directions within 90 degrees of both.
    low, high = angle - math.pi / 2, math.pi / 2
    second, fourth = (dblquad(integrand, 0, 15, low, high, args=(power,))[0] for power in (1, 2))
    first, other = torch.tensor([x], dtype=F64), torch.tensor([y], dtype=F64)
    assert relu_kernel(first, other).item() == pytest.approx(second / 2, rel=1e-7)
    # The variance of a dense unit's kernel is what is left of the fourth moment.
    variance = kernel_distance(first, other, width=1, connectivity=1.0).variances.item()
    assert variance == pytest.approx((fourth - second**2) / 4, rel=1e-7)


@given(st.integers(0, 1000), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_kernel_is_symmetric_and_homogeneous(seed, scale_x, scale_y):
    x, y = vectors(3, 5, seed), vectors(2, 5, seed + 1)
    kernel = relu_kernel(x, y)
    torch.testing.assert_close(relu_kernel(y, x).T, kernel)
    torch.testing.assert_close(relu_kernel(scale_x * x, scale_y * y), scale_x * scale_y * kernel)


@given(st.integers(0, 1000))
def test_kernel_matrix_is_positive_semidefinite(seed):
    x = vectors(6, 3, seed)
    assert torch.linalg.eigvalsh(relu_kernel(x, x)).min() > -1e-13


def test_bad_input():
    x = vectors(2, 3)
    with pytest.raises(InputError, match="x 3 and y 4"):
        relu_kernel(x, vectors(2, 4))
    with pytest.raises(InputError, match=r"y has shape \(3,\).*one row per input"):
        relu_kernel(x, x[0].new_zeros(3))
    with pytest.raises(InputError, match="x holds NaN"):
        relu_kernel(x * math.nan, x)
