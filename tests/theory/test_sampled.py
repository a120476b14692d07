import math
from typing import Any

import pytest
import torch

from wider.errors import InputError
from wider.theory import kernel_distance, sampled_kernel_distance

F64 = torch.float64


def pairs_of(count, features, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, features, dtype=F64, generator=generator)
    return x, 0.5 * x + torch.randn(count, features, dtype=F64, generator=generator)


def within(sampled, expected, errors=4):
    deviations = (sampled.distances - expected) / sampled.standard_errors
    return deviations.abs().max() < errors


@pytest.mark.parametrize(
    ("width", "connectivity", "output_connectivity"),
    [(5, 0.2, 1.0), (40, 1.0, 1.0), (40, 0.2, 1.0), (20, 0.5, 0.3), (20, 1.0, 0.3)],
)
def test_theory_against_sampled_networks(width, connectivity, output_connectivity):
    x, y = pairs_of(4, 8)
    settings: dict[str, Any] = {
        "width": width,
        "connectivity": connectivity,
        "output_connectivity": output_connectivity,
    }
    theory = kernel_distance(x, y, **settings)
    sampled = sampled_kernel_distance(x, y, **settings, num_networks=6000)
    assert within(sampled, theory.distances)
    # The tolerance is worth something: one network's squared distance varies by about its mean.
    assert (sampled.standard_errors < 0.1 * theory.distances).all()


def test_a_wide_network_in_place_of_the_limit_adds_its_own_distance():
    # The limit has a mean squared distance of its own, and only one network stands for it: over
    # many seeds the two add up.
    x, y = pairs_of(1, 8)
    runs = torch.cat(
        [
            sampled_kernel_distance(
                x, y, width=20, connectivity=1.0, num_networks=2, seed=seed, infinite_width=10
            ).distances
            for seed in range(3000)
        ]
    )
    expected = sum(
        kernel_distance(x, y, width=width, connectivity=1.0).distances.item() for width in (20, 10)
    )
    error = runs.std().item() / math.sqrt(len(runs))
    assert abs(runs.mean().item() - expected) < 4 * error
    assert error < 0.1 * expected


def test_a_very_wide_network_is_close_to_the_limit():
    x, y = pairs_of(4, 8)
    settings: dict[str, Any] = {"width": 10, "connectivity": 0.5, "num_networks": 200}
    exact = sampled_kernel_distance(x, y, **settings)
    wide = sampled_kernel_distance(x, y, **settings, infinite_width=20_000)
    assert not torch.equal(wide.distances, exact.distances)
    torch.testing.assert_close(wide.distances, exact.distances, rtol=0.05, atol=0)


def test_standard_errors_are_those_of_the_networks():
    x, y = pairs_of(2, 8)
    runs = [
        sampled_kernel_distance(x, y, width=10, connectivity=0.5, num_networks=100, seed=seed)
        for seed in range(100)
    ]
    spread = torch.stack([run.distances for run in runs]).std(dim=0)
    reported = torch.stack([run.standard_errors for run in runs]).square().mean(dim=0).sqrt()
    torch.testing.assert_close(reported, spread, rtol=0.3, atol=0)


def test_more_networks_keep_the_first_ones():
    x, y = pairs_of(1, 8)

    def total(num_networks):
        result = sampled_kernel_distance(x, y, width=4, connectivity=0.5, num_networks=num_networks)
        return num_networks * result.distances.item()

    singles = [total(n + 1) - total(n) for n in range(2, 6)]
    assert min(singles) > 0  # each is the squared distance of one more network
    assert total(6) == pytest.approx(total(2) + sum(singles))


def test_pairs_in_one_call_or_in_several_give_the_same_numbers():
    x, y = pairs_of(1100, 8)  # more than are worked on at once
    settings: dict[str, Any] = {"width": 3, "connectivity": 0.5, "num_networks": 3}
    whole = sampled_kernel_distance(x, y, **settings).distances
    parts = [
        sampled_kernel_distance(x[rows], y[rows], **settings).distances
        for rows in (slice(300), slice(300, None))
    ]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-12, atol=0)


def test_zero_vectors_have_no_distance():
    x = torch.zeros(2, 5)
    result = sampled_kernel_distance(x, torch.ones(2, 5), width=3, connectivity=0.5)
    assert not result.distances.any()
    assert not result.standard_errors.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_networks": 1}, "num_networks is 1; use a whole number of at least 2"),
        ({"infinite_width": 0}, "infinite_width is 0"),
        ({"infinite_width": "wide"}, "infinite_width is 'wide'; use \"exact\" or a width"),
        ({"width": 0}, "width is 0"),
        ({"connectivity": -0.1}, "connectivity is -0.1"),
        ({"output_connectivity": 0}, "output_connectivity is 0"),
    ],
)
def test_bad_input(change, message):
    arguments: dict[str, Any] = {"width": 3, "connectivity": 0.5} | change
    with pytest.raises(InputError, match=message):
        sampled_kernel_distance(torch.ones(2, 4), torch.ones(2, 4), **arguments)
