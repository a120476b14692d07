"""Sparse convolution of one slab of 16 images in one compiled call."""

# pyright: reportCallIssue=false
# (Numba gives intrinsics their first argument, which pyright takes for one of the call's.)

from typing import NamedTuple

import numpy as np

from wider.native._compiled import compiled
from wider.native._tiles import (
    backward_tile,
    blocked_from_plain,
    forward_tile,
    plain_from_blocked,
)
from wider.native._vectors import LANES


class Layout(NamedTuple):
    """Where the numbers of one slab of images lie: [channel][row][column][lane], zeros around.

    Attributes:
        places: of each position of a plane, row by row, from the start of its channel.
        row: from one row to the next.
        plane: from one channel to the next.
    """

    places: np.ndarray
    row: int
    plane: int


@compiled
def to_blocks(out, layout, source, image_stride, num_channels, num_positions):
    """Brings 16 plain images [image][channel][position] into blocks; leaves the zeros around."""
    last = num_positions - LANES
    for channel in range(num_channels):
        start, base = channel * num_positions, channel * layout.plane
        if last < 0:
            for position in range(num_positions):
                for lane in range(LANES):
                    out[base + layout.places[position] + lane] = source[
                        lane * image_stride + start + position
                    ]
        else:
            for first in range(0, num_positions, LANES):
                # The last block overlaps the one before rather than reach beyond the plane.
                block = min(first, last)
                blocked_from_plain(
                    out, base, layout.places, block, source, start + block, image_stride
                )


@compiled
def to_plain(out, image_stride, num_channels, num_positions, source, layout):
    """The inverse of `to_blocks`."""
    last = num_positions - LANES
    for channel in range(num_channels):
        start, base = channel * num_positions, channel * layout.plane
        if last < 0:
            for position in range(num_positions):
                for lane in range(LANES):
                    out[lane * image_stride + start + position] = source[
                        base + layout.places[position] + lane
                    ]
        else:
            for first in range(0, num_positions, LANES):
                block = min(first, last)
                plain_from_blocked(
                    out, start + block, image_stride, source, base, layout.places, block
                )


@compiled
def forward_slab(
    tile, step, out, out_layout, grid, bias, values, offsets, starts, source, source_layout
):
    """All output channels of 16 images.

    Args:
        tile: (rows, columns) of a tile as tuples of these lengths.
        step: the stride along columns, as the length of a tuple.
        out: blocks of the output.
        out_layout: its layout, in which whole tiles fit.
        grid: (output rows, output columns, stride along rows).
        bias: of each output channel.
        values: the non-zero weights by output channel.
        offsets: of each non-zero's tap in the source, from a position's place.
        starts: first non-zero of each output channel, and their number at the end.
        source: blocks of the input.
        source_layout: its layout.
    """
    rows, columns = tile
    height, width, row_stride = grid
    for top in range(0, height, len(rows)):
        for left in range(0, width, len(columns)):
            place = top * out_layout.row + left * LANES
            origin = top * row_stride * source_layout.row + left * len(step) * LANES
            for channel in range(len(starts) - 1):
                forward_tile(
                    rows,
                    columns,
                    step,
                    out,
                    channel * out_layout.plane + place,
                    out_layout.row,
                    bias[channel],
                    values,
                    offsets,
                    starts[channel],
                    starts[channel + 1],
                    source,
                    origin,
                    row_stride * source_layout.row,
                )


@compiled
def backward_slab(
    tile,
    step,
    out,
    image,
    image_layout,
    grids,
    weight_sums,
    values,
    offsets,
    starts,
    gradient,
    gradient_layout,
):
    """The gradients of all input channels of 16 images, and of the weights lane by lane.

    Input positions fall into classes by their remainder after division by the stride: those of a
    class meet the same taps of the kernel.

    Args:
        tile: as in `forward_slab`.
        step: as in `forward_slab`.
        out: blocks of the input's gradient, in the layout of the image.
        image: blocks of the input.
        image_layout: its layout, in which whole tiles of every class fit.
        grids: of each class: first row and column, number of rows and columns, stride along rows.
        weight_sums: (non-zeros, 16), to which the gradients are added.
        values: the non-zero weights by class and input channel.
        offsets: of each non-zero's tap in the gradient, from a position's place there.
        starts: first non-zero of each class and input channel, and their number at the end.
        gradient: blocks of the output's gradient.
        gradient_layout: its layout.
    """
    rows, columns = tile
    num_channels = (len(starts) - 1) // len(grids)
    for group in range(len(grids)):
        first_row, first_column, height, width, row_stride = grids[group]
        for top in range(0, height, len(rows)):
            for left in range(0, width, len(columns)):
                place = (first_row + top * row_stride) * image_layout.row
                place += (first_column + left * len(step)) * LANES
                origin = top * gradient_layout.row + left * LANES
                for channel in range(num_channels):
                    own = group * num_channels + channel
                    backward_tile(
                        rows,
                        columns,
                        step,
                        out,
                        image,
                        channel * image_layout.plane + place,
                        row_stride * image_layout.row,
                        weight_sums,
                        values,
                        offsets,
                        starts[own],
                        starts[own + 1],
                        gradient,
                        origin,
                        gradient_layout.row,
                    )
