"""Sparse convolution as functions of arrays."""

import math
import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from wider.native._conv_kernels import Layout, Sparse, backward_pass, forward_pass
from wider.native._conv_plan import Geometry, Plan, plan_for
from wider.native._vectors import LANES

Array = NDArray[np.float32]

# Blocks of one slab, kept from call to call: fresh memory costs a page fault every 4 kB. Nothing
# ever writes to the zeros around an image, so they stay. One set a thread.
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
    """The convolution of images whose number is a multiple of 16.

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
    out_channels = len(starts) - 1
    result = _aligned_empty((len(images), out_channels, *geometry.output))
    forward_pass(
        result,
        plan.forward,
        images,
        _blocks("image", plan.image, geometry.in_channels, plan),
        plan.image,
        Sparse(values, plan.forward_offsets, plan.forward_starts),
        bias,
        _blocks("output", plan.output, out_channels, plan),
        plan.output,
    )
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
    result = _aligned_empty(images.shape)
    weight_sums = _aligned_zeros(len(plan.backward_order) * LANES)
    backward_pass(
        result,
        plan.backward,
        plan.grids,
        images,
        _blocks("image", plan.image, geometry.in_channels, plan),
        plan.image,
        gradient,
        _blocks("gradient", plan.gradient, len(starts) - 1, plan),
        plan.gradient,
        Sparse(values[plan.backward_order], plan.backward_offsets, plan.backward_starts),
        weight_sums,
        _blocks("image gradient", plan.image, geometry.in_channels, plan),
    )
    value_gradient = np.zeros_like(values)
    value_gradient[plan.backward_order] = weight_sums.reshape(-1, LANES).sum(1)
    return result, value_gradient


def _blocks(role: str, layout: Layout, num_channels: int, plan: Plan) -> Array:
    if not hasattr(_kept, "blocks"):
        _kept.blocks = OrderedDict()
    key = (role, plan.geometry, num_channels)
    if key not in _kept.blocks:
        _kept.blocks[key] = _aligned_zeros(layout.plane * num_channels)
    _kept.blocks.move_to_end(key)
    while len(_kept.blocks) > MOST_BLOCKS:  # images of ever new sizes must not fill the memory
        _kept.blocks.popitem(last=False)
    return _kept.blocks[key]


def _aligned_zeros(size: int) -> Array:
    return _aligned(np.zeros(size + LANES, np.float32))


def _aligned_empty(shape: tuple[int, ...]) -> Array:
    return _aligned(np.empty(math.prod(shape) + LANES, np.float32)).reshape(shape)


def _aligned(numbers: Array) -> Array:
    """All but 16 of the numbers, so that each vector is one line of the cache, not parts of two."""
    start = -numbers.ctypes.data % (LANES * numbers.itemsize) // numbers.itemsize
    return numbers[start : start + len(numbers) - LANES]
