import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from wider.errors import InputError
from wider.theory import averaged_kernel_distance, kernel_distance, relu_kernel

F64 = torch.float64


def pairs_of(count, features, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, features, dtype=F64, generator=generator)
    # Half of the way to x, since images are anything but orthogonal.
    return x, 0.5 * x + torch.randn(count, features, dtype=F64, generator=generator)


def plain_distance(x, y, width, connectivity, output_connectivity=1.0):
    """Theorem 1 for one pair, mask by mask and number by number: (variance, bias)."""
    d = len(x)

    def integrals(a, b):
        length = math.sqrt(sum(v * v for v in a) * sum(v * v for v in b))
        if length == 0:
            return 0.0, 0.0
        cosine = max(-1.0, min(1.0, sum(v * w for v, w in zip(a, b, strict=True)) / length))
        t = math.acos(cosine)
        second = length / (2 * math.pi) * (math.sin(t) + (math.pi - t) * cosine)
        fourth = 3 * math.sin(t) * cosine + (math.pi - t) * (1 + 2 * cosine**2)
        return second, length**2 / (2 * math.pi) * fourth

    mean_second = mean_fourth = 0.0
    for mask in itertools.product((0, 1), repeat=d):
        probability = math.prod(connectivity if m else 1 - connectivity for m in mask)
        second, fourth = integrals(
            [v * m for v, m in zip(x, mask, strict=True)],
            [v * m for v, m in zip(y, mask, strict=True)],
        )
        mean_second += probability * second / (connectivity * d)
        mean_fourth += probability * fourth / (connectivity * d) ** 2
    variance = (mean_fourth / output_connectivity - mean_second**2) / width
    return variance, mean_second - integrals(x, y)[0] / d


@pytest.mark.parametrize("features", [1, 3, 6])
@pytest.mark.parametrize(
    ("connectivity", "output_connectivity"), [(0.2, 1.0), (0.9, 0.3), (1e-3, 0.5), (1.0, 1.0)]
)
def test_theorem_1_against_a_plain_implementation(features, connectivity, output_connectivity):
    x, y = pairs_of(4, features)
    settings: dict[str, Any] = {"width": 7, "connectivity": connectivity}
    result = kernel_distance(x, y, **settings, output_connectivity=output_connectivity)
    expected = [
        plain_distance(a, b, 7, connectivity, output_connectivity)
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
    ]
    variances, biases = torch.tensor(expected, dtype=F64).T
    torch.testing.assert_close(result.variances, variances, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(result.squared_biases, biases**2, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(result.distances, variances + biases**2, rtol=1e-10, atol=1e-14)
    assert not result.standard_errors.any()


def with_zeros(x):
    """The same kernels by 13 features, of more masks than are all taken: zeros are added, and the
    others scaled for their number.
    """
    count, features = x.shape
    return torch.cat([x, x.new_zeros(count, 13 - features)], 1) * math.sqrt(13 / features)


@pytest.mark.parametrize("output_connectivity", [1.0, 0.4])
def test_sampled_masks_against_all_masks(output_connectivity):
    x, y = pairs_of(20, 12)
    settings: dict[str, Any] = {
        "width": 30,
        "connectivity": 0.3,
        "output_connectivity": output_connectivity,
    }
    exact = kernel_distance(x, y, **settings)
    sampled = kernel_distance(with_zeros(x), with_zeros(y), **settings, num_masks=40_000)
    assert sampled.distances.mean().item() == pytest.approx(exact.distances.mean().item(), rel=0.01)
    errors = (sampled.distances - exact.distances) / sampled.standard_errors
    assert errors.abs().max() < 4


@pytest.mark.parametrize("width", [5, 1000])
def test_few_masks_give_no_bias_and_honest_standard_errors(width):
    # The distance of the wide net is nearly all squared bias: the plug-in estimate, which leaves
    # the variance of the sampled mean in, would be off by dozens of standard errors.
    x, y = pairs_of(3, 10)
    settings: dict[str, Any] = {"width": width, "connectivity": 0.4}
    exact = kernel_distance(x, y, **settings)
    x, y = with_zeros(x), with_zeros(y)
    runs = [kernel_distance(x, y, **settings, num_masks=64, seed=seed) for seed in range(1000)]
    for part in ("distances", "variances", "squared_biases"):
        values = torch.stack([getattr(run, part) for run in runs])
        error = values.std(dim=0) / math.sqrt(len(runs))
        assert ((values.mean(dim=0) - getattr(exact, part)) / error).abs().max() < 4, part
    distances = torch.stack([run.distances for run in runs])
    reported = torch.stack([run.standard_errors for run in runs])
    ratio = reported.square().mean(dim=0).sqrt() / distances.std(dim=0)
    # Errors on the large side where the distance has hardly any slope in the sampled means.
    assert ratio.min() > 0.95
    assert ratio.max() < (1.05 if width == 5 else 1.5)
    covered = ((distances - exact.distances).abs() < 1.96 * reported).double().mean(dim=0)
    assert covered.min() > 0.9  # 64 masks of a skewed distribution; 0.95 for many masks


def test_standard_error_where_the_bias_vanishes():
    # x = y has no bias: then the distance is quadratic in the error of the sampled mean.
    x = with_zeros(pairs_of(3, 10)[0])
    settings: dict[str, Any] = {"width": 10**9, "connectivity": 0.5, "num_masks": 200}
    runs = [kernel_distance(x, x, **settings, seed=seed) for seed in range(400)]
    distances = torch.stack([run.distances for run in runs])
    reported = torch.stack([run.standard_errors for run in runs])
    assert (distances < 0).any()  # without bias, so on either side of 0
    assert ((distances.mean(dim=0)).abs() < 4 * distances.std(dim=0) / 20).all()
    assert (reported.square().mean(dim=0).sqrt() > 0.8 * distances.std(dim=0)).all()


def test_error_falls_with_the_square_root_of_the_masks():
    x, y = pairs_of(5, 40)
    errors = [
        kernel_distance(x, y, width=20, connectivity=0.2, num_masks=masks).standard_errors.mean()
        for masks in (500, 8000)
    ]
    assert (errors[0] / errors[1]).item() == pytest.approx(4, rel=0.15)


def test_variance_falls_with_slope_minus_one_in_the_width():
    x, y = pairs_of(10, 20)
    widths = np.array([10, 40, 160, 640])
    for connectivity, output_connectivity in ((1.0, 1.0), (1.0, 0.5), (0.3, 1.0)):
        variances = [
            kernel_distance(
                x,
                y,
                width=width,
                connectivity=connectivity,
                output_connectivity=output_connectivity,
            )
            .variances.mean()
            .item()
            for width in widths.tolist()
        ]
        slope = np.polyfit(np.log(widths), np.log(variances), 1)[0]
        assert slope == pytest.approx(-1, abs=1e-6 if connectivity == 1 else 0.001)


def test_the_average_on_gaussian_inputs():
    # Figure 7's widest net: base width 8, width 635. The measured values are 4.73e-4 and 4.735e-4.
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 300, 784, dtype=F64, generator=generator)
    variances = kernel_distance(x, y, width=635, connectivity=8 / 635, num_masks=2000).variances
    inputs = 784 * 8 / 635
    squared_bias = ((1 / inputs - 1 / 784) / (4 * math.pi)) ** 2
    approximate = averaged_kernel_distance(784, width=635, connectivity=8 / 635) - squared_bias
    assert approximate == pytest.approx(4.73e-4, abs=0.005e-4)
    assert variances.mean().item() == pytest.approx(approximate, rel=0.02)


def test_last_layers_mask_adds_variance_and_no_bias():
    x, y = pairs_of(5, 8)
    dense = kernel_distance(x, y, width=16, connectivity=0.5)
    sparse = kernel_distance(x, y, width=16, connectivity=0.5, output_connectivity=0.25)
    torch.testing.assert_close(sparse.squared_biases, dense.squared_biases)
    mean = relu_kernel(x, y).diagonal() + (  # E[K], as the sign of the bias is that of a plain sum
        torch.tensor(
            [plain_distance(a, b, 1, 0.5)[1] for a, b in zip(x.tolist(), y.tolist(), strict=True)],
            dtype=F64,
        )
    )
    fourth = 16 * dense.variances + mean**2
    torch.testing.assert_close(sparse.variances - dense.variances, (4 - 1) * fourth / 16)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0.01, 1.0), st.floats(0.1, 10.0))
def test_symmetry_and_scaling(seed, connectivity, scale):
    x, y = pairs_of(3, 20, seed)
    arguments: dict[str, Any] = {
        "width": 9,
        "connectivity": connectivity,
        "num_masks": 20,
        "seed": seed,
    }
    result = kernel_distance(x, y, **arguments)
    swapped = kernel_distance(y, x, **arguments)
    torch.testing.assert_close(swapped.distances, result.distances, rtol=1e-9, atol=1e-12)
    # K is proportional to either vector, so its squared distance goes with the square of that.
    scaled = kernel_distance(scale * x, y, **arguments)
    torch.testing.assert_close(scaled.distances, scale**2 * result.distances, rtol=1e-9, atol=1e-12)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_order_and_signs_of_features_do_not_matter_where_masks_are_exact(seed):
    x, y = pairs_of(3, 6, seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(6, generator=generator)
    signs = torch.randint(0, 2, (6,), generator=generator) * 2 - 1
    arguments: dict[str, Any] = {"width": 9, "connectivity": 0.3}
    moved = kernel_distance(x[:, order] * signs, y[:, order] * signs, **arguments)
    torch.testing.assert_close(moved.distances, kernel_distance(x, y, **arguments).distances)


@pytest.mark.parametrize("features", [5, 30])
@pytest.mark.parametrize("connectivity", [1e-12, 0.01, 0.5, 1.0])
def test_degenerate_vectors_give_numbers(features, connectivity):
    x, _ = pairs_of(4, features)
    y = torch.stack([x[0], -x[1], torch.zeros(features, dtype=F64), 1e-200 * x[3]])
    result = kernel_distance(x, y, width=3, connectivity=connectivity, num_masks=50)
    for part in (result.distances, result.variances, result.squared_biases, result.standard_errors):
        assert part.isfinite().all()
        assert part[2] == 0
    if connectivity == 1:  # opposite vectors excite no unit together
        assert result.distances[1].item() == pytest.approx(0, abs=1e-28)


def test_dense_identical_vectors_against_the_closed_form():
    # relu(g)^2 has mean 1/2 and mean square 3/2: a variance of 5/4.
    x, _ = pairs_of(4, 30)
    result = kernel_distance(x, x, width=3, connectivity=1.0)
    torch.testing.assert_close(result.distances, 1.25 * (x.square().sum(dim=1) / 30) ** 2 / 3)


@pytest.mark.parametrize(("pairs", "features", "masks"), [(600, 20, 600), (40, 200_000, 12)])
def test_pairs_in_one_call_or_in_several_give_the_same_numbers(pairs, features, masks):
    # More than are worked on at once: pairs and masks, or the numbers of their features.
    x, y = pairs_of(pairs, features)
    arguments: dict[str, Any] = {"width": 9, "connectivity": 0.3, "num_masks": masks}
    whole = kernel_distance(x, y, **arguments)
    some = slice(pairs // 5)
    part = kernel_distance(x[some], y[some], **arguments)
    for name in ("distances", "variances", "squared_biases", "standard_errors"):
        torch.testing.assert_close(
            getattr(part, name), getattr(whole, name)[some], rtol=1e-10, atol=1e-14
        )


class LargestTensor(TorchDispatchMode):
    """Watches how many numbers the largest tensor that is made within it has."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


def test_memory_does_not_grow_with_masks_times_pairs():
    x, y = pairs_of(1500, 20)
    with LargestTensor() as largest:
        kernel_distance(x, y, width=9, connectivity=0.3, num_masks=1500)
    assert largest.numbers <= 1500**2 / 8


def test_masks_of_one_seed_are_nested_so_that_curves_are_smooth():
    x, y = pairs_of(50, 40)

    def mean_distance(connectivity, seed):
        result = kernel_distance(
            x, y, width=20, connectivity=connectivity, num_masks=100, seed=seed
        )
        return result.distances.mean().item()

    differences = [mean_distance(0.2, seed) - mean_distance(0.21, seed) for seed in range(30)]
    values = [mean_distance(0.2, seed) for seed in range(30)]
    assert np.std(differences) < 0.3 * np.std(values)


def test_seed_decides_and_precision_of_the_input_does_not_matter():
    x, y = pairs_of(4, 30)
    x, y = x.float(), y.float()
    arguments: dict[str, Any] = {"width": 9, "connectivity": 0.3, "num_masks": 20}
    first = kernel_distance(x, y, **arguments).distances
    assert first.dtype == F64
    assert torch.equal(first, kernel_distance(x.double(), y.double(), **arguments).distances)
    assert not torch.equal(first, kernel_distance(x, y, **arguments, seed=1).distances)


def test_no_pairs_give_no_numbers():
    x = torch.zeros(0, 20)
    assert kernel_distance(x, x, width=9, connectivity=0.3).distances.shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": torch.ones(3, 4)}, "x has 2 rows and y 3"),
        ({"y": torch.ones(2, 5)}, "x 4 and y 5"),
        ({"y": torch.ones(2, 1, 4)}, r"y has shape \(2, 1, 4\).*flatten"),
        ({"x": torch.full((2, 4), math.inf)}, "x holds NaN or infinite"),
        ({"width": 0}, "width is 0; use a whole number of at least 1"),
        ({"width": 2.5}, "width is 2.5"),
        ({"connectivity": 0.0}, "connectivity is 0.0; .*above 0 and at most 1"),
        ({"connectivity": math.nan}, "connectivity is nan"),
        ({"output_connectivity": 1.5}, "output_connectivity is 1.5"),
        ({"num_masks": 1}, "num_masks is 1; use a whole number of at least 2"),
    ],
)
def test_bad_input(change, message):
    arguments: dict[str, Any] = {
        "x": torch.ones(2, 4),
        "y": torch.ones(2, 4),
        "width": 3,
        "connectivity": 0.5,
    }
    arguments |= change
    with pytest.raises(InputError, match=message):
        kernel_distance(arguments.pop("x"), arguments.pop("y"), **arguments)
