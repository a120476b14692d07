"""What a sparse convolution needs to know of its structure and its image size, worked out once."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wider.native._conv_layouts import (
    Geometry,
    Layouts,
    Taps,
    columns_as_lanes,
    fits_columns,
    images_as_lanes,
)

MOST_PLANS = 256  # kept; a net has one per layer and image size

# Channels are taken in groups whose tiles fit into the first cache, but only where the sums of a
# tile then meet several non-zeros each time that they are brought into registers.
FIRST_CACHE = 40 * 1024
FEWEST_TOGETHER = 5

# Non-zeros per channel, of the input or the output, up to which bringing 16 images into lanes would
# cost more than the slower loads of 16 columns do.
FEW_NONZEROS = 16


@dataclass(frozen=True)
class Plan:
    """Layouts, and the places of all taps.

    Attributes:
        geometry: of the convolution.
        layouts: of all numbers.
        forward_offsets, forward_starts: see `Sparse`.
        backward_order: places in `values` of the non-zeros in the order of the backward pass.
        backward_offsets, backward_starts: see `Sparse`.
    """

    geometry: Geometry
    layouts: Layouts
    forward_offsets: NDArray[np.int64]
    forward_starts: NDArray[np.int64]
    backward_order: NDArray[np.int64]
    backward_offsets: NDArray[np.int64]
    backward_starts: NDArray[np.int64]


_plans: OrderedDict[tuple, Plan] = OrderedDict()


def plan_for(columns: NDArray[np.int32], starts: NDArray[np.int64], geometry: Geometry) -> Plan:
    """The plan of a structure at an image size, from a cache where it is known.

    Args:
        columns: place of each non-zero in its output channel's dense weights, ascending.
        starts: first non-zero of each output channel, and their number at the end.
        geometry: of the convolution.
    """
    # By content: an address or an identity could be another structure's by now.
    key = (columns.tobytes(), starts.tobytes(), geometry)
    if key in _plans:
        _plans.move_to_end(key)
        return _plans[key]
    plan = _plans[key] = _worked_out(columns, starts, geometry)
    while len(_plans) > MOST_PLANS:
        _plans.popitem(last=False)
    return plan


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


def _worked_out(columns: NDArray[np.int32], starts: NDArray[np.int64], geometry: Geometry) -> Plan:
    in_channels, kernel = geometry.in_channels, geometry.kernel
    out_channels = len(starts) - 1
    layouts = _layouts(geometry, len(columns), out_channels)
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
    return Plan(
        geometry=geometry,
        layouts=layouts,
        forward_offsets=forward_offsets,
        forward_starts=_forward_starts(nonzeros, starts, in_channels, forward_size),
        backward_order=order,
        backward_offsets=backward_offsets[order],
        backward_starts=backward_starts,
    )


def _layouts(geometry: Geometry, num_nonzeros: int, out_channels: int) -> Layouts:
    few = num_nonzeros <= FEW_NONZEROS * (geometry.in_channels + out_channels)
    return (
        columns_as_lanes(geometry) if few and fits_columns(geometry) else images_as_lanes(geometry)
    )
