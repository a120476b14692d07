"""Convolutions with columns as lanes, against PyTorch's own in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.native.test_layers import assert_same_as_reference, drawn

from wider.native import SparseConv2d, _conv, _conv_layouts, _conv_plan
from wider.native._conv_layouts import Geometry, fits_columns
from wider.native._structures import known_of


def _plan_of(layer: SparseConv2d) -> _conv_plan.Plan:
    return next(reversed(known_of(layer.columns, layer.starts)["plans"].values()))


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
        plan = _plan_of(layer)
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
def test_columns_are_lanes_only_where_rows_are_whole_vectors(
    kernel, padding, stride, width, fits, monkeypatch
):
    # Of vectors of 16 numbers; narrower ones fit into more rows, and reach less far.
    monkeypatch.setattr(_conv_layouts, "LANES", 16)
    geometry = Geometry(2, (1, kernel), (1, stride), (0, padding), (3, width))
    assert fits_columns(geometry) == fits


def test_images_are_lanes_where_there_are_many_nonzeros():
    geometry = Geometry(1, (3, 3), (1, 1), (1, 1), (16, 16))
    columns, few = np.tile(np.arange(9, dtype=np.int32), 8), np.arange(9) * 9
    plan = _conv_plan.plan_for(torch.from_numpy(columns), torch.from_numpy(few), geometry, 128)
    assert plan.layouts.columns_as_lanes  # 72 non-zeros of 9 channels
    geometry = geometry._replace(in_channels=8)
    columns = np.tile(np.arange(72, dtype=np.int32), 8)
    plan = _conv_plan.plan_for(torch.from_numpy(columns), torch.arange(9) * 72, geometry, 128)
    assert not plan.layouts.columns_as_lanes  # 576 of 16
    plan = _conv_plan.plan_for(torch.from_numpy(columns), torch.arange(9) * 72, geometry, 1)
    assert plan.layouts.columns_as_lanes  # one image would leave most lanes idle


def test_a_batch_of_any_size_is_computed_as_it_is():
    geometry = Geometry(1, (1, 1), (1, 1), (0, 0), (2, 16))
    images = torch.arange(96.0).reshape(3, 1, 2, 16)
    weights = torch.tensor([2.0]), torch.zeros(1, dtype=torch.int32), torch.tensor([0, 1])
    outputs = _conv.forward(images, *weights, torch.ones(1), geometry)
    assert torch.equal(outputs, 2 * images + 1)


def test_layers_of_one_shape_with_few_and_many_nonzeros_do_not_share_memory():
    images = torch.randn(32, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    for connectivity in (0.02, 0.5, 0.02):
        weight, mask, bias = drawn((32, 32, 3, 3), connectivity, 0)
        layer = SparseConv2d(weight, mask, bias, padding=(1, 1))
        assert_same_as_reference(layer, images)
        assert _plan_of(layer).layouts.columns_as_lanes == (connectivity < 0.1)


def test_images_of_ever_new_sizes_do_not_fill_the_memory():
    layer = SparseConv2d(*drawn((2, 1, 1, 1), 1.0, 0))
    for size in range(1, _conv_plan.MOST_PLANS + 5):
        layer(torch.zeros(1, 1, 1, size))
    assert len(known_of(layer.columns, layer.starts)["plans"]) == _conv_plan.MOST_PLANS
