"""Sparse convolution as functions of tensors."""

import ctypes

import torch
from torch import Tensor

from wider.native._conv_layouts import Geometry, Layout
from wider.native._conv_plan import Plan, plan_for
from wider.native._library import LANES, Job, library, pointers, whole_numbers
from wider.native._memory import empty, zeros
from wider.native._threads import run_shares


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


def forward(
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    bias: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """The convolution of images.

    Args:
        images: (images, channels, rows, columns), contiguous.
        values: the non-zero weights, by output channel.
        columns: place of each in its output channel's dense weights, ascending.
        starts: first non-zero of each output channel, and their number at the end.
        bias: of each output channel, or None.
        geometry: of the convolution.

    Returns:
        (images, output channels, rows, columns).
    """
    plan = plan_for(columns, starts, geometry, len(images))
    layouts = plan.layouts
    result = empty((len(images), plan.out_channels, *geometry.output))
    job = _described(plan, len(images))
    job.result, job.images, job.values = (each.data_ptr() for each in (result, images, values))
    job.offsets, job.starts = plan.forward_offsets.data_ptr(), plan.forward_starts.data_ptr()
    job.bias = 0 if bias is None else bias.data_ptr()
    job.source = _in_memory(layouts.source, geometry.in_channels)
    job.output = _in_memory(layouts.output, plan.out_channels)
    job.tiling = _Tiling(*layouts.forward)
    job.num_groups = plan.forward_starts.shape[1] - 1
    run_shares("convolution_forward", job, job.num_shares)
    return result


def backward(
    gradient: Tensor,
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    geometry: Geometry,
    with_images: bool,
) -> tuple[Tensor, Tensor]:
    """The gradients of images and values; that of the images is empty if not asked for.

    Other arguments as in `forward`.
    """
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
    run_shares("convolution_backward", job, job.num_shares)
    value_gradient = zeros(values.shape)
    by_order = value_gradient.data_ptr(), plan.backward_order.data_ptr()
    library().convolution_weight_sums(ctypes.byref(job), *map(ctypes.c_void_p, by_order))
    return result, value_gradient


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
