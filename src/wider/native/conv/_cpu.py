"""A sparse convolution on the CPU: calls of the kernels, and the plan that they are given.

A plan is what they need to know of a layer's structure and its images' size, worked out once.
"""

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int32, Int64
from numpy.typing import NDArray
from torch import Tensor

from wider.native._runtime import (
    LANES,
    Job,
    address,
    empty,
    kernel_named,
    library,
    pointers,
    run_shares,
    whole_numbers,
    zeros,
)
from wider.native._structure import known_of
from wider.native.conv._layouts import (
    Geometry,
    Layout,
    Layouts,
    Taps,
    columns_as_lanes,
    fits_columns,
    images_as_lanes,
)

MOST_PLANS = 16  # of a layer, for as many image sizes

# Channels are taken in groups whose tiles fit into the first cache, but only where the sums of a
# tile then meet several non-zeros each time that they are brought into registers.
FIRST_CACHE = 24 * 1024
FEWEST_TOGETHER = 5

# Non-zeros per channel, of the input or the output, up to which bringing images into lanes would
# cost more than the slower loads of columns do.
FEW_NONZEROS = 16


class _Layout(Job):
    _fields_ = (*pointers("places", "holes"), *whole_numbers("num_holes", "row", "plane", "size"))


class _Tiling(Job):
    _fields_ = whole_numbers("rows", "columns", "step", "stride")


class _Convolution(Job):
    _fields_ = (
        *pointers("result", "images", "gradient", "values", "offsets", "starts", "bias"),
        *pointers("weight_sums"),
        *((name, _Layout) for name in ("source", "output", "slopes")),
        ("tiling", _Tiling),
        *pointers("grids"),
        *whole_numbers("num_images", "in_channels", "height", "width"),
        *whole_numbers("out_channels", "out_height", "out_width"),
        *whole_numbers("num_groups", "num_classes", "num_values", "num_shares"),
        *whole_numbers("columns_as_lanes", "as_it_lies", "column_stride"),
        *whole_numbers("first_position", "position_rows", "position_columns"),
    )


@dataclass(frozen=True)
class Plan:
    """Layouts, and the places of all taps.

    Attributes:
        geometry: of the convolution.
        layouts: of all numbers.
        out_channels: how many.
        forward_offsets: of each non-zero's tap in the blocks that the forward pass reads, from a
            position's place there.
        forward_starts: where the non-zeros of each group of input channels start and the last ends.
            Tiles of a group's channels fit into the first cache.
        backward_order: places in `values` of the non-zeros in the order of the backward pass.
        backward_offsets: as `forward_offsets`, in that order.
        backward_starts: as `forward_starts`, by group of output channels.
    """

    geometry: Geometry
    layouts: Layouts
    out_channels: int
    forward_offsets: Int64[Tensor, " nonzeros"]
    forward_starts: Int64[Tensor, "out groups_plus_one"]
    backward_order: Int64[Tensor, " nonzeros"]
    backward_offsets: Int64[Tensor, " nonzeros"]
    backward_starts: Int64[Tensor, "groups classes in_plus_one"]


def forward(
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    bias: Tensor | None,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> Tensor:
    """The convolution of images; see `sparse_conv2d`."""
    geometry = _geometry(images, kernel, stride, padding)
    plan = plan_for(columns, starts, geometry, len(images))
    layouts = plan.layouts
    result = empty((len(images), plan.out_channels, *geometry.output))
    job = _described(plan, len(images))
    job.result, job.images, job.values = (each.data_ptr() for each in (result, images, values))
    job.offsets, job.starts = plan.forward_offsets.data_ptr(), plan.forward_starts.data_ptr()
    job.bias = address(bias)
    job.source = _in_memory(layouts.source, geometry.in_channels)
    job.output = _in_memory(layouts.output, plan.out_channels)
    job.tiling = _Tiling(*layouts.forward)
    job.num_groups = plan.forward_starts.shape[1] - 1
    run_shares(kernel_named("convolution_forward"), job, job.num_shares)
    return result


def backward(
    gradient: Tensor,
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    with_images: bool,
) -> tuple[Tensor, Tensor]:
    """The gradients of images and values; see `sparse_conv2d_backward`."""
    geometry = _geometry(images, kernel, stride, padding)
    plan = plan_for(columns, starts, geometry, len(images))
    layouts = plan.layouts
    result = empty((len(images) if with_images else 0, *images.shape[1:]))
    job = _described(plan, len(images))
    count = len(plan.backward_order)
    ordered = values.reshape(-1)[plan.backward_order]
    weight_sums = [empty((count, LANES)) for _ in range(job.num_shares)]
    addresses = (ctypes.c_void_p * job.num_shares)(*(each.data_ptr() for each in weight_sums))
    job.result = result.data_ptr() if with_images else 0
    job.images = images.data_ptr()
    job.gradient, job.values = gradient.data_ptr(), ordered.data_ptr()
    job.offsets, job.starts = plan.backward_offsets.data_ptr(), plan.backward_starts.data_ptr()
    job.weight_sums = ctypes.addressof(addresses)
    job.source = _in_memory(layouts.own, geometry.in_channels)
    job.slopes = _in_memory(layouts.gradient, plan.out_channels)
    job.tiling = _Tiling(*layouts.backward)
    job.grids = layouts.grids.data_ptr()
    job.num_groups, job.num_classes, _ = plan.backward_starts.shape
    job.num_values = count
    run_shares(kernel_named("convolution_backward"), job, job.num_shares)
    value_gradient = zeros(values.shape)
    by_order = value_gradient.data_ptr(), plan.backward_order.data_ptr()
    library().convolution_weight_sums(ctypes.byref(job), *map(ctypes.c_void_p, by_order))
    return result, value_gradient


def _geometry(
    images: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Geometry:
    kernel_, stride_, padding_, image = (
        (int(pair[0]), int(pair[1])) for pair in (kernel, stride, padding, images.shape[2:])
    )
    return Geometry(images.shape[1], kernel_, stride_, padding_, image)


def _described(plan: Plan, num_images: int) -> _Convolution:
    geometry, layouts = plan.geometry, plan.layouts
    slab = 1 if layouts.columns_as_lanes else LANES
    return _Convolution(
        num_images=num_images,
        in_channels=geometry.in_channels,
        height=geometry.image[0],
        width=geometry.image[1],
        out_channels=plan.out_channels,
        out_height=geometry.output[0],
        out_width=geometry.output[1],
        num_shares=max(1, min(torch.get_num_threads(), -(-num_images // slab))),
        columns_as_lanes=layouts.columns_as_lanes,
        as_it_lies=layouts.own.places is None,
        column_stride=geometry.stride[1],
        position_rows=layouts.size[0],
        position_columns=layouts.size[1],
    )


def _in_memory(layout: Layout, num_channels: int) -> _Layout:
    """Blocks of so many channels; none for what is used as it lies."""
    if layout.places is None or layout.holes is None:
        return _Layout(row=layout.row, plane=layout.plane)
    return _Layout(
        layout.places.data_ptr(),
        layout.holes.data_ptr(),
        len(layout.holes),
        layout.row,
        layout.plane,
        layout.plane * num_channels,
    )


def plan_for(
    columns: Int32[Tensor, " nonzeros"],
    starts: Int64[Tensor, " out_plus_one"],
    geometry: Geometry,
    num_images: int,
) -> Plan:
    """The plan of a structure at an image size, from a cache where it is known.

    Args:
        columns: place of each non-zero in its output channel's dense weights, ascending.
        starts: first non-zero of each output channel, and their number at the end.
        geometry: of the convolution.
        num_images: of a batch.
    """
    in_columns = _prefers_columns(geometry, len(columns), len(starts) - 1, num_images)
    key = geometry, in_columns
    plans: dict[tuple[Geometry, bool], Plan] = known_of(columns, starts).setdefault("plans", {})
    plan = plans.get(key)
    if plan is None:
        while len(plans) >= MOST_PLANS:  # images of ever new sizes must not fill the memory
            plans.pop(next(iter(plans)), None)
        layouts = columns_as_lanes(geometry) if in_columns else images_as_lanes(geometry)
        plan = plans[key] = _worked_out(columns.numpy(), starts.numpy(), geometry, layouts)
    return plan


def _prefers_columns(
    geometry: Geometry, num_nonzeros: int, out_channels: int, num_images: int
) -> bool:
    """Whether neighbours in a row of one image are the lanes, rather than several images."""
    few = num_nonzeros <= FEW_NONZEROS * (geometry.in_channels + out_channels)
    return (few or 2 * num_images <= LANES) and fits_columns(geometry)


class _Nonzeros(NamedTuple):
    """Where each non-zero weight lies in the dense ones."""

    out_channel: NDArray[np.int64]
    channel: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]


def _nonzeros(
    columns: NDArray[np.int32], starts: NDArray[np.int64], kernel: tuple[int, int]
) -> _Nonzeros:
    channel, tap = np.divmod(columns.astype(np.int64), kernel[0] * kernel[1])
    out_channel = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return _Nonzeros(out_channel, channel, *np.divmod(tap, kernel[1]))


def _group_size(num_channels: int, reach: int, num_together: float) -> int:
    """How many channels to take at a time.

    Args:
        num_channels: of which the groups are to be made.
        reach: numbers of one channel that the sums of one tile read.
        num_together: non-zeros that the sums of a tile meet in all of these channels.
    """
    size = max(1, FIRST_CACHE // (reach * 4))
    num_groups = -(-num_channels // size)
    return size if num_together >= FEWEST_TOGETHER * num_groups else num_channels


def _forward_starts(
    nonzeros: _Nonzeros, starts: NDArray[np.int64], num_channels: int, size: int
) -> NDArray[np.int64]:
    """The start of each group of input channels in each output channel, and the end of the last."""
    edges = np.arange(0, num_channels + size, size).clip(max=num_channels)
    key = nonzeros.out_channel * num_channels + nonzeros.channel
    wanted = np.arange(len(starts) - 1)[:, None] * num_channels + edges
    return np.searchsorted(key, wanted).astype(np.int64)


def _backward_order(
    nonzeros: _Nonzeros, down: Taps, right: Taps, shape: tuple[int, int, int], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order of the non-zeros in the backward pass, and where its parts start.

    Args:
        nonzeros: in the order of the forward pass.
        down: along rows.
        right: along columns.
        shape: (groups of output channels, classes, input channels).
        size: output channels in a group.
    """
    down_class, right_class = down.classes[nonzeros.row], right.classes[nonzeros.column]
    # A class that no input position belongs to (an image smaller than the stride) has no taps to
    # serve; its non-zeros get no gradient.
    exists = (down_class < down.num_classes) & (right_class < right.num_classes)
    order = np.nonzero(exists)[0]
    own_class = (down_class * right.num_classes + right_class)[order]
    group = nonzeros.out_channel[order] // size
    part = np.ravel_multi_index((group, own_class, nonzeros.channel[order]), shape)
    by_part = np.argsort(part, kind="stable")
    starts = np.searchsorted(part[by_part], np.arange(math.prod(shape) + 1))
    ends = np.arange(0, math.prod(shape), shape[2])[:, None] + np.arange(shape[2] + 1)
    return order[by_part], starts[ends].reshape(*shape[:2], -1).astype(np.int64)


def _worked_out(
    columns: NDArray[np.int32], starts: NDArray[np.int64], geometry: Geometry, layouts: Layouts
) -> Plan:
    in_channels, kernel = geometry.in_channels, geometry.kernel
    out_channels = len(starts) - 1
    down, right = layouts.down, layouts.right
    nonzeros = _nonzeros(columns, starts, kernel)
    forward_size = _group_size(
        in_channels, layouts.forward_reach, len(columns) / max(1, out_channels)
    )
    num_classes = down.num_classes * right.num_classes
    backward_size = _group_size(
        out_channels, layouts.backward_reach, len(columns) / (num_classes * in_channels)
    )
    shape = (-(-out_channels // backward_size), num_classes, in_channels)
    order, backward_starts = _backward_order(nonzeros, down, right, shape, backward_size)
    forward_offsets = nonzeros.channel * layouts.source.plane
    forward_offsets += down.forward[nonzeros.row] + right.forward[nonzeros.column]
    backward_offsets = nonzeros.out_channel * layouts.gradient.plane
    backward_offsets += down.backward[nonzeros.row] + right.backward[nonzeros.column]
    forward_starts = _forward_starts(nonzeros, starts, in_channels, forward_size)
    arrays = forward_offsets, forward_starts, order, backward_offsets[order], backward_starts
    return Plan(geometry, layouts, out_channels, *map(torch.from_numpy, arrays))
