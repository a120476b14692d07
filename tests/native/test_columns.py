"""Convolutions with columns as lanes, against PyTorch's own in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.native.test_layers import assert_same_as_reference, drawn

from wider.native import SparseConv2d, _conv, _conv_plan
from wider.native._conv_layouts import Geometry, fits_columns


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
    geometry = Geometry(channels[1], kernel, stride, half_kernel, image)
    assume(fits_columns(geometry))
    weight, mask, bias = drawn((*channels, *kernel), connectivity, seed)
    layer = SparseConv2d(weight, mask, bias, stride=stride, padding=half_kernel)
    images = torch.randn(batch, channels[1], *image, generator=torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_conv_plan, "FEW_NONZEROS", np.inf)
        assert_same_as_reference(layer, images)
        plan = next(reversed(_conv_plan._plans.values()))
        assert plan.layouts.columns_as_lanes


@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "width", "fits"),
    [
        (3, 1, 1, 32, True),
        (3, 1, 2, 32, True),
        (1, 0, 2, 32, True),
        (7, 3, 2, 224, True),
        (3, 1, 1, 28, False),  # rows that end within a vector
        (3, 1, 2, 16, False),  # so do those of every second column
        (3, 0, 1, 32, False),  # and these of the output
        (3, 1, 3, 48, False),
        (33, 16, 1, 48, True),
        (35, 17, 1, 48, False),  # reads beyond the zeros between two rows
        (1, 8, 1, 32, True),
        (1, 24, 1, 48, False),
    ],
)
def test_columns_are_lanes_only_where_rows_are_whole_vectors(kernel, padding, stride, width, fits):
    geometry = Geometry(2, (1, kernel), (1, stride), (0, padding), (3, width))
    assert fits_columns(geometry) == fits


def test_images_are_lanes_where_there_are_many_nonzeros():
    geometry = Geometry(1, (3, 3), (1, 1), (1, 1), (16, 16))
    columns, few = np.tile(np.arange(9, dtype=np.int32), 8), np.arange(9) * 9
    plan = _conv_plan.plan_for(columns, few, geometry)
    assert plan.layouts.columns_as_lanes  # 72 non-zeros of 9 channels
    geometry = geometry._replace(in_channels=8)
    columns = np.tile(np.arange(72, dtype=np.int32), 8)
    plan = _conv_plan.plan_for(columns, np.arange(9) * 72, geometry)
    assert not plan.layouts.columns_as_lanes  # 576 of 16


def test_a_batch_of_any_size_is_computed_as_it_is():
    geometry = Geometry(1, (1, 1), (1, 1), (0, 0), (2, 16))
    images = np.arange(96, dtype=np.float32).reshape(3, 1, 2, 16)
    weights = np.array([2.0], np.float32), np.zeros(1, np.int32), np.array([0, 1])
    outputs = _conv.forward(images, *weights, np.ones(1, np.float32), geometry)
    np.testing.assert_array_equal(outputs, 2 * images + 1)


def test_layers_of_one_shape_with_few_and_many_nonzeros_do_not_share_memory():
    images = torch.randn(2, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    for connectivity in (0.02, 0.5, 0.02):
        weight, mask, bias = drawn((32, 32, 3, 3), connectivity, 0)
        assert_same_as_reference(SparseConv2d(weight, mask, bias, padding=(1, 1)), images)
        plan = next(reversed(_conv_plan._plans.values()))
        assert plan.layouts.columns_as_lanes == (connectivity < 0.1)
