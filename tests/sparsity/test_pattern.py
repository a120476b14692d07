import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from wider.errors import InputError
from wider.randomness import stream
from wider.sparsity import PATTERNS, draw_mask

every_pattern = pytest.mark.parametrize("pattern", PATTERNS)


@st.composite
def layers(draw):
    """The shape of a weight tensor and a number of weights to keep."""
    sides = st.lists(st.integers(1, 6), min_size=2, max_size=2)
    kernels = st.lists(st.integers(1, 3), max_size=3)
    shape = (*draw(sides), *draw(kernels))
    return shape, draw(st.integers(1, math.prod(shape)))


def mask_of_seed(seed, shape, num_weights, pattern):
    return draw_mask(shape, num_weights, pattern, generator=stream(seed, "mask"))


# What every pattern promises


@every_pattern
@given(layer=layers(), seed=st.integers(0, 2**32))
def test_a_mask_has_the_shape_of_the_weight_and_misses_its_number_by_less_than_a_kernel(
    pattern, layer, seed
):
    shape, num_weights = layer
    mask = mask_of_seed(seed, shape, num_weights, pattern)
    assert mask.dtype == torch.bool
    assert mask.shape == shape
    assert mask.is_contiguous()
    assert mask.any()
    assert abs(int(mask.sum()) - num_weights) <= math.prod(shape[2:]) - 1


@every_pattern
@given(layer=layers(), seed=st.integers(0, 2**32))
def test_the_same_stream_gives_the_same_mask(pattern, layer, seed):
    shape, num_weights = layer
    mask = mask_of_seed(seed, shape, num_weights, pattern)
    assert torch.equal(mask, mask_of_seed(seed, shape, num_weights, pattern))


@every_pattern
def test_different_streams_give_different_masks(pattern):
    masks = [mask_of_seed(seed, (20, 30, 3), 900, pattern) for seed in range(10)]
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 10


@every_pattern
@given(layer=layers())
def test_keeping_everything_keeps_everything(pattern, layer):
    shape, _ = layer
    assert mask_of_seed(0, shape, math.prod(shape), pattern).all()


@every_pattern
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (3, 2, 2, 2)])
def test_every_set_of_kept_entries_is_equally_likely(pattern, shape):
    """Chi-square over all sets: six linear weights, or six kernels, of which two are kept."""
    kernel = math.prod(shape[2:])
    whole_kernels = kernel == 1 or pattern == "io"
    draws = 3000
    generator = stream(0, "every set", pattern, str(shape))
    sets: Counter[tuple[int, ...]] = Counter()
    for _ in range(draws):
        mask = draw_mask(shape, 2 * kernel, pattern, generator=generator)
        kept = mask.flatten(2)[..., 0] if whole_kernels and kernel > 1 else mask
        sets[tuple(kept.flatten().nonzero().flatten().tolist())] += 1
    possible = math.comb(6, 2) if whole_kernels else math.comb(6 * kernel, 2 * kernel)
    counts = [*sets.values(), *[0] * (possible - len(sets))]
    assert len(counts) == possible
    expected = draws / possible
    chi_square = sum((count - expected) ** 2 / expected for count in counts)
    assert chi_square < stats.chi2.ppf(0.9999, possible - 1)


@every_pattern
def test_every_position_is_equally_likely(pattern):
    shape, num_weights, draws = (5, 4, 3), 24, 2000
    generator = stream(0, "every position", pattern)
    masks = [draw_mask(shape, num_weights, pattern, generator=generator) for _ in range(draws)]
    frequency = torch.stack(masks).double().mean(0)
    connectivity = num_weights / math.prod(shape)
    standard_error = math.sqrt(connectivity * (1 - connectivity) / draws)
    assert (frequency - connectivity).abs().max() < 4.5 * standard_error  # 60 positions


@every_pattern
def test_drawing_a_mask_leaves_the_default_generator_alone(pattern):
    before = torch.get_rng_state()
    mask_of_seed(0, (20, 30), 100, pattern)
    assert torch.equal(torch.get_rng_state(), before)


@every_pattern
@pytest.mark.parametrize("num_weights", [-1, 0, 25])
def test_an_impossible_number_is_refused(pattern, num_weights):
    with pytest.raises(InputError, match=f"cannot keep {num_weights} of 24 weights; keep 1 to 24"):
        mask_of_seed(0, (2, 3, 4), num_weights, pattern)


# Each pattern's own


@given(layer=layers(), seed=st.integers(0, 2**32))
def test_uniform_keeps_the_exact_number(layer, seed):
    shape, num_weights = layer
    assert int(mask_of_seed(seed, shape, num_weights, "uniform").sum()) == num_weights


@given(layer=layers(), seed=st.integers(0, 2**32))
def test_io_keeps_or_removes_whole_kernels(layer, seed):
    shape, num_weights = layer
    kernels = mask_of_seed(seed, shape, num_weights, "io").reshape(*shape[:2], -1)
    assert torch.equal(kernels.all(-1), kernels.any(-1))


@given(layer=layers(), seed=st.integers(0, 2**32))
def test_io_keeps_the_nearest_number_of_kernels(layer, seed):
    shape, num_weights = layer
    kernel = math.prod(shape[2:])
    kept = int(mask_of_seed(seed, shape, num_weights, "io").sum())
    choices = range(kernel, math.prod(shape) + 1, kernel)  # at least one kernel, at most all
    assert kept in choices
    assert abs(kept - num_weights) == min(abs(choice - num_weights) for choice in choices)


@pytest.mark.parametrize(
    ("shape", "num_weights", "kept"),
    [
        ((4, 4), 7, 7),
        ((4, 4, 3, 3), 1, 9),
        ((4, 4, 3, 3), 13, 9),
        ((4, 4, 3, 3), 14, 18),
        ((4, 4, 3, 3), 143, 144),
        ((4, 4, 2, 2), 6, 8),  # halves go up, always
        ((4, 4, 2, 2), 10, 12),
    ],
)
def test_io_by_hand(shape, num_weights, kept):
    assert int(mask_of_seed(0, shape, num_weights, "io").sum()) == kept


def test_an_unknown_pattern_is_refused_with_the_known_ones():
    known = "use 'uniform', 'io', or MODULE:NAME"
    with pytest.raises(InputError, match=f"unknown pattern 'blocks'; {known}"):
        mask_of_seed(0, (2, 3), 2, "blocks")


# Tensors so large that no permutation of their entries is drawn


@pytest.fixture
def drawn_as_large(monkeypatch):
    monkeypatch.setattr("wider.sparsity._pattern.LARGEST_PERMUTED", 0)
    monkeypatch.setattr("wider.sparsity._pattern.CHUNK", 64)


@pytest.mark.parametrize("num_weights", [1, 2, 30, 99, 100, 101, 170, 198, 199, 200])
def test_a_large_mask_keeps_exactly_its_number(drawn_as_large, num_weights):
    for seed in range(20):
        assert mask_of_seed(seed, (10, 20), num_weights, "uniform").sum() == num_weights


@pytest.mark.parametrize("num_weights", [2, 4])
def test_every_large_mask_is_equally_likely(drawn_as_large, num_weights):
    draws = 6000
    masks = Counter(
        tuple(mask_of_seed(seed, (2, 3), num_weights, "uniform").flatten().tolist())
        for seed in range(draws)
    )
    assert len(masks) == math.comb(6, num_weights)
    assert stats.chisquare(list(masks.values())).pvalue > 1e-4


def test_a_large_mask_needs_no_permutation(monkeypatch):
    def refused(*_, **__):
        raise AssertionError("a permutation of all entries")

    monkeypatch.setattr(torch, "randperm", refused)
    mask = mask_of_seed(0, (2**13, 2**13 + 1), 1000, "uniform")
    assert int(mask.sum()) == 1000
