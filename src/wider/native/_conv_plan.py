"""What a sparse convolution needs to know of its structure and its image size, worked out once."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int32, Int64
from numpy.typing import NDArray
from torch import Tensor

from wider.native._conv_layouts import (
    Geometry,
    Layouts,
    Taps,
    columns_as_lanes,
    fits_columns,
    images_as_lanes,
)
from wider.native._library import LANES
from wider.native._structures import known_of

MOST_PLANS = 16  # of a layer, for as many image sizes

# Channels are taken in groups whose tiles fit into the first cache, but only where the sums of a
# tile then meet several non-zeros each time that they are brought into registers.
FIRST_CACHE = 24 * 1024
FEWEST_TOGETHER = 5

# Non-zeros per channel, of the input or the output, up to which bringing images into lanes would
# cost more than the slower loads of columns do.
FEW_NONZEROS = 16


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
    in_columns = prefers_columns(geometry, len(columns), len(starts) - 1, num_images)
    key = geometry, in_columns
    plans: dict[tuple[Geometry, bool], Plan] = known_of(columns, starts).setdefault("plans", {})
    plan = plans.get(key)
    if plan is None:
        while len(plans) >= MOST_PLANS:  # images of ever new sizes must not fill the memory
            plans.pop(next(iter(plans)), None)
        layouts = columns_as_lanes(geometry) if in_columns else images_as_lanes(geometry)
        plan = plans[key] = _worked_out(columns.numpy(), starts.numpy(), geometry, layouts)
    return plan


def prefers_columns(
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
