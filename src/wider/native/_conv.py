"""Sparse convolution as functions of arrays."""

import threading
from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray

from wider.native import _conv_columns, _conv_kernels, _memory
from wider.native._conv_kernels import Layout, Sparse
from wider.native._conv_layouts import Geometry, Layouts
from wider.native._conv_plan import Plan, plan_for
from wider.native._threads import in_parallel, parts
from wider.native._vectors import LANES

Array = NDArray[np.float32]

# Blocks of one slab, kept from call to call: fresh memory costs a page fault every 4 kB. Nothing
# ever writes to the zeros around an image, so they stay. One set for each thread that calls.
_kept = threading.local()
MOST_BLOCKS = 96  # three for each layer of a net, with different image sizes


def forward(
    images: Array,
    values: Array,
    columns: NDArray[np.int32],
    starts: NDArray[np.int64],
    bias: Array,
    geometry: Geometry,
) -> Array:
    """The convolution of images.

    Args:
        images: (images, channels, rows, columns), contiguous.
        values: the non-zero weights, by output channel.
        columns: place of each in its output channel's dense weights, ascending.
        starts: first non-zero of each output channel, and their number at the end.
        bias: of each output channel.
        geometry: of the convolution.

    Returns:
        (images, output channels, rows, columns).
    """
    plan = plan_for(columns, starts, geometry)
    layouts, out_channels, num_images = plan.layouts, len(starts) - 1, len(images)
    images = _whole_slabs(images, layouts)
    result = _memory.empty((len(images), out_channels, *geometry.output))
    shares = _shares(len(images), layouts)
    sources = _blocks("source", layouts.source, geometry.in_channels, plan, len(shares))
    weights = Sparse(values, plan.forward_offsets, plan.forward_starts)
    outputs = _blocks("output", layouts.output, out_channels, plan, len(shares))

    stride = geometry.stride[1]

    def task(number: int) -> None:
        own = shares[number]
        given = result[own], layouts.forward, images[own], sources[number], layouts.source
        if layouts.columns_as_lanes:
            _conv_columns.forward_pass(stride, *given, weights, bias, layouts.output, layouts.size)
        else:
            _conv_kernels.forward_pass(*given, weights, bias, outputs[number], layouts.output)

    in_parallel(task, len(shares))
    return result[:num_images]


def backward(
    gradient: Array,
    images: Array,
    values: Array,
    columns: NDArray[np.int32],
    starts: NDArray[np.int64],
    geometry: Geometry,
) -> tuple[Array, Array]:
    """The gradients of images and values; arguments as in `forward`."""
    plan = plan_for(columns, starts, geometry)
    layouts, in_channels, num_images = plan.layouts, geometry.in_channels, len(images)
    images, gradient = _whole_slabs(images, layouts), _whole_slabs(gradient, layouts)
    result = _memory.empty(images.shape)
    shares = _shares(len(images), layouts)
    count = len(shares)
    role = "source" if layouts.own is layouts.source else "own"
    sources = _blocks(role, layouts.own, in_channels, plan, count)
    slopes = _blocks("gradient", layouts.gradient, len(starts) - 1, plan, count)
    outputs = _blocks("source gradient", layouts.own, in_channels, plan, count)
    totals = np.empty((count, len(plan.backward_order)), np.float32)
    weight_sums = [_memory.empty((len(plan.backward_order) * LANES,)) for _ in shares]
    weights = Sparse(values[plan.backward_order], plan.backward_offsets, plan.backward_starts)
    stride = geometry.stride[1]

    def task(number: int) -> None:
        own = shares[number]
        weight_sums[number].fill(0)
        given = (
            result[own],
            layouts.backward,
            layouts.grids,
            images[own],
            sources[number],
            layouts.own,
            gradient[own],
            slopes[number],
            layouts.gradient,
            weights,
            weight_sums[number],
            outputs[number],
        )
        if layouts.columns_as_lanes:
            _conv_columns.backward_pass(stride, *given)
        else:
            _conv_kernels.backward_pass(*given)
        _conv_kernels.sum_lanes(totals[number], weight_sums[number])

    in_parallel(task, count)
    value_gradient = np.zeros_like(values)
    value_gradient[plan.backward_order] = totals.sum(0)
    return result[:num_images], value_gradient


def _slab(layouts: Layouts) -> int:
    return 1 if layouts.columns_as_lanes else LANES


def _whole_slabs(images: Array, layouts: Layouts) -> Array:
    missing = -len(images) % _slab(layouts)
    if not missing:
        return images
    return np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.float32)])


def _shares(num_images: int, layouts: Layouts) -> list[slice]:
    """Which images each thread takes, whole slabs."""
    slab = _slab(layouts)
    num_slabs = num_images // slab
    count = max(1, min(torch.get_num_threads(), num_slabs))
    return [slice(part.start * slab, part.stop * slab) for part in parts(num_slabs, count)]


def _blocks(role: str, layout: Layout, num_channels: int, plan: Plan, count: int) -> list[Array]:
    """Memory for blocks, of each thread; none for what is used as it lies."""
    if len(layout.places) == 0:
        return [_memory.zeros(0)] * count
    if not hasattr(_kept, "blocks"):
        _kept.blocks = OrderedDict()
    key = (role, plan.geometry, num_channels, plan.layouts.columns_as_lanes)
    blocks = _kept.blocks.setdefault(key, [])
    blocks += [_memory.zeros(layout.plane * num_channels) for _ in range(count - len(blocks))]
    _kept.blocks.move_to_end(key)
    while len(_kept.blocks) > MOST_BLOCKS:  # images of ever new sizes must not fill the memory
        _kept.blocks.popitem(last=False)
    return blocks
