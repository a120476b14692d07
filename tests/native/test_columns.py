"""Convolutions with columns as lanes, against PyTorch's own in double precision."""

import tracemalloc

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.native.test_layers import assert_same_as_reference, drawn

from wider.native import LANES, SparseConv2d
from wider.native.conv import Geometry, plan_for


def in_columns(layer: SparseConv2d, image: tuple[int, ...], num_images: int) -> bool:
    """Whether it computes so many images with the neighbours in a row as lanes."""
    _, channels, *kernel = layer.shape
    geometry = Geometry(channels, tuple(kernel), layer.stride, layer.padding, image)  # pyright: ignore[reportArgumentType]
    plan = plan_for(layer.columns, layer.starts, geometry, num_images)
    return plan.layouts.columns_as_lanes


def _pair(elements: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(elements, elements)


@given(
    batch=st.sampled_from([1, 3]),
    channels=_pair(st.integers(1, 5)),
    image=st.tuples(st.sampled_from([1, 3, 8, 16]), st.sampled_from([16, 32, 64])),
    half_kernel=_pair(st.integers(0, 3)),
    stride=_pair(st.integers(1, 2)),
    connectivity=st.floats(0.01, 1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=50)
def test_the_convolution_is_that_of_the_dense_weight(
    batch, channels, image, half_kernel, stride, connectivity, seed
):
    kernel = (2 * half_kernel[0] + 1, 2 * half_kernel[1] + 1)
    weight, mask, bias = drawn((*channels, *kernel), connectivity, seed)
    layer = SparseConv2d(weight, mask, bias, stride=stride, padding=half_kernel)
    assume(in_columns(layer, image, batch))
    images = torch.randn(batch, channels[1], *image, generator=torch.Generator().manual_seed(seed))
    assert_same_as_reference(layer, images)


@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "width", "fits"),
    [
        (3, 1, 1, 2 * LANES, True),
        (3, 1, 2, 2 * LANES, True),
        (1, 0, 2, 2 * LANES, True),
        (7, 3, 2, 14 * LANES, True),
        (3, 1, 1, 2 * LANES - 2, False),  # rows that end within a vector
        (3, 1, 2, LANES, False),  # so do those of every second column
        (3, 0, 1, 2 * LANES, False),  # and these of the output
        (3, 1, 3, 3 * LANES, False),
        (2 * LANES + 1, LANES, 1, 3 * LANES, True),
        (2 * LANES + 3, LANES + 1, 1, 3 * LANES, False),  # reads beyond the zeros between two rows
        (1, LANES // 2, 1, 2 * LANES, True),
        (1, 3 * LANES // 2, 1, 3 * LANES, False),
    ],
)
def test_columns_are_lanes_only_where_rows_are_whole_vectors(kernel, padding, stride, width, fits):
    weight, mask, bias = drawn((3, 2, 1, kernel), 0.5, 0)
    layer = SparseConv2d(weight, mask, bias, stride=(1, stride), padding=(0, padding))
    # One image would leave most lanes idle.
    assert in_columns(layer, (3, width), 1) == fits
    images = torch.randn(1, 2, 3, width, generator=torch.Generator().manual_seed(0))
    assert_same_as_reference(layer, images)


def test_images_are_lanes_where_there_are_many_nonzeros():
    few = SparseConv2d(*drawn((8, 1, 3, 3), 1.0, 0), padding=(1, 1))
    assert in_columns(few, (16, 16), 128)  # 72 non-zeros of 9 channels
    many = SparseConv2d(*drawn((8, 8, 3, 3), 1.0, 0), padding=(1, 1))
    assert not in_columns(many, (16, 16), 128)  # 576 of 16
    assert in_columns(many, (16, 16), 1)


def test_a_batch_of_any_size_is_computed_as_it_is():
    weight, mask = torch.full((1, 1, 1, 1), 2.0), torch.ones(1, 1, 1, 1, dtype=torch.bool)
    layer = SparseConv2d(weight, mask, torch.ones(1))
    images = torch.arange(96.0).reshape(3, 1, 2, 16)
    assert torch.equal(layer(images), 2 * images + 1)


def test_layers_of_one_shape_with_few_and_many_nonzeros_do_not_share_memory():
    images = torch.randn(32, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    for connectivity in (0.02, 0.5, 0.02):
        weight, mask, bias = drawn((32, 32, 3, 3), connectivity, 0)
        layer = SparseConv2d(weight, mask, bias, padding=(1, 1))
        assert_same_as_reference(layer, images)
        assert in_columns(layer, (16, 16), 32) == (connectivity < 0.1)


@torch.no_grad()
def test_images_of_ever_new_sizes_do_not_fill_the_memory():
    layer = SparseConv2d(*drawn((32, 32, 1, 1), 1.0, 0))  # of 1,024 weights, each with its places
    kept = []
    tracemalloc.start()
    try:
        for size in range(1, 81):
            layer(torch.zeros(1, 32, 1, size))
            if not size % 40:
                kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    first, second = kept
    assert second < 1.3 * first  # of all of them it would be twice as much
