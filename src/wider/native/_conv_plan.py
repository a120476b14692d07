"""What a sparse convolution needs to know of its structure and its image size, worked out once."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wider.native._conv_kernels import Layout
from wider.native._vectors import LANES

MOST_PLANS = 256  # kept; a net has one per layer and image size


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
        forward_tile, backward_tile: (rows, columns) as tuples of these lengths.
        step: the stride along columns, as the length of a tuple.
        forward_offsets: of each non-zero, in the order of `values`.
        backward_order: places in `values` of the non-zeros by class and input channel.
        backward_offsets: of each of them.
        backward_starts: first non-zero of each class and input channel, and their number.
        grids: see `backward_slab`.
    """

    geometry: Geometry
    image: Layout
    output: Layout
    gradient: Layout
    forward_tile: tuple[tuple[int, ...], tuple[int, ...]]
    backward_tile: tuple[tuple[int, ...], tuple[int, ...]]
    step: tuple[int, ...]
    forward_offsets: NDArray[np.int64]
    backward_order: NDArray[np.int64]
    backward_offsets: NDArray[np.int64]
    backward_starts: NDArray[np.int64]
    grids: NDArray[np.int64]


_plans: OrderedDict[tuple, Plan] = OrderedDict()


def plan_for(columns: NDArray[np.int32], starts: NDArray[np.int64], geometry: Geometry) -> Plan:
    """The plan of a structure at an image size, from a cache where it is known.

    Args:
        columns: place of each non-zero in its output channel's dense weights.
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
    """

    remainders: NDArray[np.int64]
    shifts: NDArray[np.int64]
    margin: int
    image_size: int
    output_size: int
    gradient_size: int
    class_sizes: list[int]


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


def _worked_out(columns: NDArray[np.int32], starts: NDArray[np.int64], geometry: Geometry) -> Plan:
    (kernel_rows, kernel_columns), stride, padding = geometry[1:4]
    forward_tile = _tile(geometry.output[1], 16)
    backward_tile = _tile(-(-geometry.image[1] // stride[1]), 8)
    down, right = (
        _axis(size, output, kernel, step, pad, len(forward), len(backward))
        for size, output, kernel, step, pad, forward, backward in zip(
            geometry.image,
            geometry.output,
            geometry.kernel,
            stride,
            padding,
            forward_tile,
            backward_tile,
            strict=True,
        )
    )
    image = _layout(geometry.image, padding, down.image_size, right.image_size)
    output = _layout(geometry.output, (0, 0), down.output_size, right.output_size)
    margins = (down.margin, right.margin)
    gradient = _layout(geometry.output, margins, down.gradient_size, right.gradient_size)
    channel, tap = np.divmod(columns.astype(np.int64), kernel_rows * kernel_columns)
    tap_row, tap_column = np.divmod(tap, kernel_columns)
    out_channel = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    # A class that no input position belongs to (an image smaller than the stride) has no taps to
    # serve; its non-zeros get no gradient.
    exists = (down.remainders[tap_row] < len(down.class_sizes)) & (
        right.remainders[tap_column] < len(right.class_sizes)
    )
    group = down.remainders[tap_row] * len(right.class_sizes) + right.remainders[tap_column]
    bucket = group * geometry.in_channels + channel
    order = np.nonzero(exists)[0]
    order = order[np.argsort(bucket[order], kind="stable")]
    num_buckets = len(down.class_sizes) * len(right.class_sizes) * geometry.in_channels
    offsets = out_channel * gradient.plane
    offsets = offsets + down.shifts[tap_row] * gradient.row + right.shifts[tap_column] * LANES
    grids = [
        (row + padding[0], column + padding[1], height, width, stride[0])
        for row, height in enumerate(down.class_sizes)
        for column, width in enumerate(right.class_sizes)
    ]
    return Plan(
        geometry=geometry,
        image=image,
        output=output,
        gradient=gradient,
        forward_tile=forward_tile,
        backward_tile=backward_tile,
        step=(0,) * stride[1],
        forward_offsets=channel * image.plane + tap_row * image.row + tap_column * LANES,
        backward_order=order,
        backward_offsets=offsets[order],
        backward_starts=np.searchsorted(bucket[order], np.arange(num_buckets + 1)).astype(np.int64),
        grids=np.array(grids, np.int64),
    )
