"""What a sparse convolution needs to know of its structure and its image size, worked out once."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wider.native._conv_kernels import Layout, Tiling
from wider.native._vectors import LANES

MOST_PLANS = 256  # kept; a net has one per layer and image size

# Channels are taken in groups whose tiles fit into the first cache, but only where the sums of a
# tile then meet several non-zeros each time that they are brought into registers.
FIRST_CACHE = 32 * 1024
FEWEST_TOGETHER = 6


class Geometry(NamedTuple):
    """A convolution apart from its weights; pairs are (rows, columns)."""

    in_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    image: tuple[int, int]

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        rows, columns = (
            (size + 2 * pad - kernel) // step + 1
            for size, pad, kernel, step in zip(
                self.image, self.padding, self.kernel, self.stride, strict=True
            )
        )
        return rows, columns


@dataclass(frozen=True)
class Plan:
    """Layouts, tiles and the places of all taps.

    Attributes:
        geometry: of the convolution.
        image: layout of the input, and of its gradient.
        output: layout of the output.
        gradient: layout of the output's gradient, with zeros around it.
        forward, backward: how the passes go over the positions.
        forward_offsets, forward_starts: see `Sparse`.
        backward_order: places in `values` of the non-zeros in the order of the backward pass.
        backward_offsets, backward_starts: see `Sparse`.
        grids: see `backward_pass`.
    """

    geometry: Geometry
    image: Layout
    output: Layout
    gradient: Layout
    forward: Tiling
    backward: Tiling
    forward_offsets: NDArray[np.int64]
    forward_starts: NDArray[np.int64]
    backward_order: NDArray[np.int64]
    backward_offsets: NDArray[np.int64]
    backward_starts: NDArray[np.int64]
    grids: NDArray[np.int64]


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


class _Axis(NamedTuple):
    """Along rows or along columns: how input positions meet taps.

    Attributes:
        remainders: the class of input positions that each tap meets.
        shifts: from a position's number in its class to the output position, for each tap.
        margin: zeros before the output's gradient.
        image_size, output_size, gradient_size: of the blocks, with all that tiles touch.
        class_sizes: input positions in each class.
        forward_reach, backward_reach: positions that one tile reads, by all its taps.
    """

    remainders: NDArray[np.int64]
    shifts: NDArray[np.int64]
    margin: int
    image_size: int
    output_size: int
    gradient_size: int
    class_sizes: list[int]
    forward_reach: int
    backward_reach: int


def _axis(
    size: int, output: int, kernel: int, stride: int, padding: int, forward: int, backward: int
) -> _Axis:
    taps = np.arange(kernel)
    remainders = (taps - padding) % stride
    shifts = (remainders + padding - taps) // stride
    margin = max(0, -int(shifts.min()))
    class_sizes = [-(-(size - remainder) // stride) for remainder in range(min(stride, size))]
    tiles_end = [-(-count // backward) * backward for count in class_sizes]
    output_size = -(-output // forward) * forward
    last_read = (output_size - 1) * stride + kernel
    last_written = max(
        padding + remainder + (end - 1) * stride + 1 for remainder, end in enumerate(tiles_end)
    )
    return _Axis(
        remainders,
        shifts + margin,
        margin,
        max(last_read, last_written, size + padding),
        output_size,
        max(max(tiles_end) + int(shifts.max()) + margin, output + margin),
        class_sizes,
        (forward - 1) * stride + kernel,
        backward + int(shifts.max() - shifts.min()),
    )


def _tile(width: int, positions: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    columns = min(positions, 1 << max(0, math.ceil(math.log2(width))))
    return (0,) * (positions // columns), (0,) * columns


def _layout(image: tuple[int, int], origin: tuple[int, int], rows: int, columns: int) -> Layout:
    row = columns * LANES
    # An odd number of positions, so that the same place of many channels falls into many sets of
    # the cache rather than one.
    plane = (rows * columns | 1) * LANES
    height, width = image
    places = (np.arange(height)[:, None] + origin[0]) * row
    places = places + (np.arange(width)[None, :] + origin[1]) * LANES
    return Layout(places.reshape(-1).astype(np.int64), row, plane)


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


def _group_size(num_channels: int, vectors: int, num_together: float) -> int:
    """How many channels to take at a time.

    Args:
        num_channels: of which the groups are to be made.
        vectors: of one channel that the sums of one tile read.
        num_together: non-zeros that the sums of a tile meet in all of these channels.
    """
    size = max(1, FIRST_CACHE // (vectors * LANES * 4))
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
    nonzeros: _Nonzeros, down: _Axis, right: _Axis, shape: tuple[int, int, int], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order of the non-zeros in the backward pass, and where its parts start.

    Args:
        nonzeros: in the order of the forward pass.
        down: along rows.
        right: along columns.
        shape: (groups of output channels, classes, input channels).
        size: output channels in a group.
    """
    down_class, right_class = down.remainders[nonzeros.row], right.remainders[nonzeros.column]
    # A class that no input position belongs to (an image smaller than the stride) has no taps to
    # serve; its non-zeros get no gradient.
    exists = (down_class < len(down.class_sizes)) & (right_class < len(right.class_sizes))
    order = np.nonzero(exists)[0]
    own_class = (down_class * len(right.class_sizes) + right_class)[order]
    group = nonzeros.out_channel[order] // size
    part = np.ravel_multi_index((group, own_class, nonzeros.channel[order]), shape)
    by_part = np.argsort(part, kind="stable")
    starts = np.searchsorted(part[by_part], np.arange(math.prod(shape) + 1))
    ends = np.arange(0, math.prod(shape), shape[2])[:, None] + np.arange(shape[2] + 1)
    return order[by_part], starts[ends].reshape(*shape[:2], -1).astype(np.int64)


def _worked_out(columns: NDArray[np.int32], starts: NDArray[np.int64], geometry: Geometry) -> Plan:
    in_channels, kernel, stride, padding, _ = geometry
    out_channels, step = len(starts) - 1, (0,) * stride[1]
    forward_tile = _tile(geometry.output[1], 16)
    backward_tile = _tile(-(-geometry.image[1] // stride[1]), 8)
    down, right = map(
        _axis,
        geometry.image,
        geometry.output,
        kernel,
        stride,
        padding,
        map(len, forward_tile),
        map(len, backward_tile),
    )
    image = _layout(geometry.image, padding, down.image_size, right.image_size)
    margins = (down.margin, right.margin)
    gradient = _layout(geometry.output, margins, down.gradient_size, right.gradient_size)
    output = _layout(geometry.output, (0, 0), down.output_size, right.output_size)
    nonzeros = _nonzeros(columns, starts, kernel)
    forward_size = _group_size(
        in_channels, down.forward_reach * right.forward_reach, len(columns) / max(1, out_channels)
    )
    num_classes = len(down.class_sizes) * len(right.class_sizes)
    backward_size = _group_size(
        out_channels,
        down.backward_reach * right.backward_reach,
        len(columns) / (num_classes * in_channels),
    )
    shape = (-(-out_channels // backward_size), num_classes, in_channels)
    order, backward_starts = _backward_order(nonzeros, down, right, shape, backward_size)
    forward_offsets = nonzeros.channel * image.plane
    forward_offsets += nonzeros.row * image.row + nonzeros.column * LANES
    backward_offsets = nonzeros.out_channel * gradient.plane
    backward_offsets += down.shifts[nonzeros.row] * gradient.row
    backward_offsets += right.shifts[nonzeros.column] * LANES
    return Plan(
        geometry=geometry,
        image=image,
        output=output,
        gradient=gradient,
        forward=Tiling(*forward_tile, step, stride[0]),
        backward=Tiling(*backward_tile, step, stride[0]),
        forward_offsets=forward_offsets,
        forward_starts=_forward_starts(nonzeros, starts, in_channels, forward_size),
        backward_order=order,
        backward_offsets=backward_offsets[order],
        backward_starts=backward_starts,
        grids=_grids(down.class_sizes, right.class_sizes, padding),
    )


def _grids(down: list[int], right: list[int], padding: tuple[int, int]) -> NDArray[np.int64]:
    grids = [
        (row + padding[0], column + padding[1], height, width)
        for row, height in enumerate(down)
        for column, width in enumerate(right)
    ]
    return np.array(grids, np.int64)
