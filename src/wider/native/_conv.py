"""Sparse convolution as functions of arrays."""

import threading
from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray

from wider.native import _memory
from wider.native._conv_kernels import Layout, Sparse, backward_pass, forward_pass
from wider.native._conv_plan import Geometry, Plan, plan_for
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
    result = _memory.empty((len(images), out_channels, *geometry.output))
    shares = _shares(len(images))
    sources = _blocks("image", plan.image, geometry.in_channels, plan, len(shares))
    outputs = _blocks("output", plan.output, out_channels, plan, len(shares))
    weights = Sparse(values, plan.forward_offsets, plan.forward_starts)

    def task(number: int) -> None:
        own = shares[number]
        forward_pass(
            result[own],
            plan.forward,
            images[own],
            sources[number],
            plan.image,
            weights,
            bias,
            outputs[number],
            plan.output,
        )

    in_parallel(task, len(shares))
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
    result = _memory.empty(images.shape)
    shares = _shares(len(images))
    sources = _blocks("image", plan.image, geometry.in_channels, plan, len(shares))
    slopes = _blocks("gradient", plan.gradient, len(starts) - 1, plan, len(shares))
    outputs = _blocks("image gradient", plan.image, geometry.in_channels, plan, len(shares))
    weight_sums = [_memory.zeros(len(plan.backward_order) * LANES) for _ in shares]
    weights = Sparse(values[plan.backward_order], plan.backward_offsets, plan.backward_starts)

    def task(number: int) -> None:
        own = shares[number]
        backward_pass(
            result[own],
            plan.backward,
            plan.grids,
            images[own],
            sources[number],
            plan.image,
            gradient[own],
            slopes[number],
            plan.gradient,
            weights,
            weight_sums[number],
            outputs[number],
        )

    in_parallel(task, len(shares))
    value_gradient = np.zeros_like(values)
    lanes = np.concatenate([sums.reshape(-1, LANES) for sums in weight_sums], 1)
    value_gradient[plan.backward_order] = lanes.sum(1)
    return result, value_gradient


def _shares(num_images: int) -> list[slice]:
    """Which images each thread takes, whole slabs."""
    num_slabs = num_images // LANES
    count = max(1, min(torch.get_num_threads(), num_slabs))
    return [slice(part.start * LANES, part.stop * LANES) for part in parts(num_slabs, count)]


def _blocks(role: str, layout: Layout, num_channels: int, plan: Plan, count: int) -> list[Array]:
    """Memory for blocks, of each thread."""
    if not hasattr(_kept, "blocks"):
        _kept.blocks = OrderedDict()
    key = (role, plan.geometry, num_channels)
    blocks = _kept.blocks.setdefault(key, [])
    blocks += [_memory.zeros(layout.plane * num_channels) for _ in range(count - len(blocks))]
    _kept.blocks.move_to_end(key)
    while len(_kept.blocks) > MOST_BLOCKS:  # images of ever new sizes must not fill the memory
        _kept.blocks.popitem(last=False)
    return blocks
