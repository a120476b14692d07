import math

import numpy as np
import pytest
import torch
from torch import nn

from wider.errors import InputError
from wider.models import MLP
from wider.randomness import default_generator_from, stream
from wider.theory import KernelKind, deep_relu_kernels, empirical_kernel

KINDS: list[KernelKind] = ["conjugate", "tangent"]


def vectors(count, length):
    return torch.randn(count, length, generator=stream(0, "vectors"), dtype=torch.float64)


def ntk_net(seed, width, depth, in_features):
    with default_generator_from(seed, "tests", width, depth):
        return MLP(
            width,
            in_features=in_features,
            num_classes=1,
            num_hidden_layers=depth,
            bias=False,
            parametrization="ntk",
        )


def kernels_of_nets(kind, x, *, seeds, width, depth):
    nets = [ntk_net(seed, width, depth, x.shape[1]) for seed in range(seeds)]
    return torch.stack([empirical_kernel(net, x, kind=kind) for net in nets])


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_vector_with_itself_by_hand(depth):
    kernels = deep_relu_kernels(torch.tensor([[3.0, 4.0]]), depth=depth)
    assert kernels.conjugate.item() == pytest.approx(12.5 / 2**depth, rel=1e-14)
    # T_l = K_l + T_l-1 / 2: each of the depth + 1 layers of weights gives as much.
    assert kernels.tangent.item() == pytest.approx((depth + 1) * 12.5 / 2**depth, rel=1e-7)


def test_orthogonal_opposite_and_zero_vectors_by_hand():
    x = torch.tensor([[2.0, 0.0]])
    y = torch.tensor([[0.0, 3.0], [-1.0, 0.0], [0.0, 0.0]])
    conjugate, tangent = deep_relu_kernels(x, y, depth=1)
    expected = torch.tensor([[6 / (2 * math.pi * 2), 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(conjugate, expected)
    torch.testing.assert_close(tangent, expected)
    conjugate, tangent = deep_relu_kernels(x, y, depth=2)
    t = math.acos(1 / math.pi)  # orthogonal vectors after one layer; the opposite are orthogonal
    second = 6 / 8 * (math.sin(t) + (math.pi - t) / math.pi) / math.pi
    slope = (math.pi - t) / (2 * math.pi)
    assert conjugate[0].tolist() == pytest.approx([second, 2 / 8 / math.pi, 0], rel=1e-12)
    assert tangent[0].tolist() == pytest.approx(
        [second + slope * 6 / (4 * math.pi), 2 / 8 / math.pi, 0], rel=1e-12
    )


@pytest.mark.parametrize("depth", [1, 3])
def test_weights_of_another_variance_rescale_net_and_limit_alike(depth):
    x = vectors(4, 6)
    net, scaled = ntk_net(0, 20, depth, 6), ntk_net(0, 20, depth, 6)
    with torch.no_grad():
        for weight in scaled.parameters():
            weight.mul_(2)  # a variance of 4; a power of two, hence exact
    for kind in KINDS:
        of_nets = empirical_kernel(scaled, x, kind=kind) / empirical_kernel(net, x, kind=kind)
        limit = deep_relu_kernels(x, depth=depth, weight_variance=4)
        limits = getattr(limit, kind) / getattr(deep_relu_kernels(x, depth=depth), kind)
        torch.testing.assert_close(limits, of_nets)


def test_variance_two_keeps_the_norms_at_any_depth():
    x = vectors(5, 7)
    conjugate = deep_relu_kernels(x, depth=9, weight_variance=2).conjugate
    torch.testing.assert_close(conjugate.diagonal(), x.square().mean(1))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_wide_nets_have_these_kernels(kind, depth):
    x = vectors(3, 5)
    kernels = kernels_of_nets(kind, x, seeds=10, width=2048, depth=depth)
    limit = getattr(deep_relu_kernels(x, depth=depth), kind)
    standard_error = kernels.std(0) / math.sqrt(len(kernels))
    assert ((kernels.mean(0) - limit).abs() < 4.5 * standard_error).all()
    assert standard_error.max() < 0.03 * limit.max()  # or it could not fail


@pytest.mark.parametrize("kind", KINDS)
def test_the_squared_distance_of_a_net_falls_as_one_over_its_width(kind):
    x, widths, seeds = vectors(4, 5), [16, 32, 64, 128, 256, 512], 150
    limit = getattr(deep_relu_kernels(x, depth=1), kind)
    means, errors = [], []
    for width in widths:
        kernels = kernels_of_nets(kind, x, seeds=seeds, width=width, depth=1)
        distances = (kernels - limit).square().mean((1, 2))
        means.append(distances.mean().item())
        errors.append((distances.std() / distances.mean()).item() / math.sqrt(seeds))
    places = np.log(widths) - np.log(widths).mean()
    slope = places @ np.log(means) / (places @ places)
    standard_error = math.sqrt(places**2 @ np.square(errors)) / (places @ places)
    # With one hidden layer the kernel is a mean over units, so the slope is -1 at every width.
    assert abs(slope + 1) < 4 * standard_error
    assert standard_error < 0.06


def test_single_precision_inputs_keep_their_digits():
    x = vectors(3, 4).float()
    for low, high in zip(
        deep_relu_kernels(x, depth=2), deep_relu_kernels(x.double(), depth=2), strict=True
    ):
        assert low.dtype == torch.float64
        assert torch.equal(low, high)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"depth": 0}, "depth is 0; a ReLU net needs at least 1"),
        ({"depth": 1, "y": torch.ones(2, 4)}, r"x is \(2, 3\) and y \(2, 4\).*of one length"),
        ({"depth": 1, "x": torch.ones(2, 3, 1)}, r"x is \(2, 3, 1\).*images flattened"),
        ({"depth": 1, "weight_variance": 0}, "weight_variance is 0; it must be a positive"),
        ({"depth": 1, "weight_variance": math.nan}, "weight_variance is nan"),
    ],
)
def test_bad_input_is_refused(keywords, message):
    with pytest.raises(InputError, match=message):
        deep_relu_kernels(**{"x": torch.ones(2, 3)} | keywords)


def test_one_linear_layer_is_where_the_recursion_starts():
    x = vectors(3, 4)
    net = nn.Linear(4, 2, bias=False)
    products = x @ x.T / 4
    torch.testing.assert_close(empirical_kernel(net, x), products)
    torch.testing.assert_close(empirical_kernel(net, x, kind="tangent") / 4, products)
