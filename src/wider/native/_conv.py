"""Sparse convolution as functions of arrays: slab by slab of 16 images."""

import threading

import numpy as np
from numpy.typing import NDArray

from wider.native._conv_kernels import Layout, backward_slab, forward_slab, to_blocks, to_plain
from wider.native._conv_plan import Geometry, Plan, plan_for
from wider.native._vectors import LANES

Array = NDArray[np.float32]

# Blocks of one slab, kept from call to call: fresh memory costs a page fault every 4 kB. Nothing
# ever writes to the zeros around an image, so they stay. One set a thread.
_kept = threading.local()


def forward(
    images: Array,
    values: Array,
    columns: NDArray[np.int32],
    starts: NDArray[np.int64],
    bias: Array,
    geometry: Geometry,
) -> Array:
    """The convolution of images whose number is a multiple of 16.

    Args:
        images: (images, channels, rows, columns), contiguous.
        values: the non-zero weights, by output channel.
        columns: place of each in its output channel's dense weights.
        starts: first non-zero of each output channel, and their number at the end.
        bias: of each output channel.
        geometry: of the convolution.

    Returns:
        (images, output channels, rows, columns).
    """
    plan = plan_for(columns, starts, geometry)
    out_channels, (height, width) = len(starts) - 1, geometry.output
    result = np.empty((len(images), out_channels, height, width), np.float32)
    source = _blocks("image", plan.image, geometry.in_channels, plan)
    blocks = _blocks("output", plan.output, out_channels, plan)
    for slab in range(0, len(images), LANES):
        _fill(source, plan.image, images[slab : slab + LANES])
        forward_slab(
            plan.forward_tile,
            plan.step,
            blocks,
            plan.output,
            (height, width, geometry.stride[0]),
            bias,
            values,
            plan.forward_offsets,
            starts,
            source,
            plan.image,
        )
        _read(result[slab : slab + LANES], blocks, plan.output)
    return result


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
    result = np.empty_like(images)
    source = _blocks("image", plan.image, geometry.in_channels, plan)
    slopes = _blocks("gradient", plan.gradient, len(starts) - 1, plan)
    blocks = _blocks("image gradient", plan.image, geometry.in_channels, plan)
    weight_sums = _aligned_zeros(len(plan.backward_order) * LANES)
    own_values = values[plan.backward_order]
    for slab in range(0, len(images), LANES):
        _fill(source, plan.image, images[slab : slab + LANES])
        _fill(slopes, plan.gradient, gradient[slab : slab + LANES])
        backward_slab(
            plan.backward_tile,
            plan.step,
            blocks,
            source,
            plan.image,
            plan.grids,
            weight_sums,
            own_values,
            plan.backward_offsets,
            plan.backward_starts,
            slopes,
            plan.gradient,
        )
        _read(result[slab : slab + LANES], blocks, plan.image)
    value_gradient = np.zeros_like(values)
    value_gradient[plan.backward_order] = weight_sums.reshape(-1, LANES).sum(1)
    return result, value_gradient


def _fill(blocks: Array, layout: Layout, images: Array) -> None:
    num_channels, num_positions = images.shape[1], images.shape[2] * images.shape[3]
    stride = num_channels * num_positions
    to_blocks(blocks, layout, images.reshape(-1), stride, num_channels, num_positions)


def _read(images: Array, blocks: Array, layout: Layout) -> None:
    num_channels, num_positions = images.shape[1], images.shape[2] * images.shape[3]
    stride = num_channels * num_positions
    to_plain(images.reshape(-1), stride, num_channels, num_positions, blocks, layout)


def _blocks(role: str, layout: Layout, num_channels: int, plan: Plan) -> Array:
    if not hasattr(_kept, "blocks"):
        _kept.blocks = {}
    size = layout.plane * num_channels
    key = (role, plan.geometry, num_channels)
    if key not in _kept.blocks:
        _kept.blocks[key] = _aligned_zeros(size)
    return _kept.blocks[key]


def _aligned_zeros(size: int) -> Array:
    """Zeros whose every vector is one line of the cache rather than parts of two."""
    numbers = np.zeros(size + LANES, np.float32)
    start = -numbers.ctypes.data % (LANES * numbers.itemsize) // numbers.itemsize
    return numbers[start : start + size]
