"""Sparse convolution of a batch in one compiled call, 16 images at a time."""

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


class Sparse(NamedTuple):
    """Non-zero weights in the order in which a pass meets them.

    Attributes:
        values: of each.
        offsets: of each one's tap in the blocks that the pass reads, from a position's place there.
        starts: where the non-zeros of each group of channels start and the last ends. Tiles of a
            group's channels fit into the first cache. Forward: (output channels, groups of input
            channels + 1); backward: (groups of output channels, classes, input channels + 1).
    """

    values: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray


class Tiling(NamedTuple):
    """How a pass goes over the positions; tuples are given for their lengths only.

    Attributes:
        rows, columns: of a tile.
        step: the stride along columns.
        stride: along rows.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    step: tuple[int, ...]
    stride: int


@compiled
def _to_blocks(out, layout, images, slab):
    """Brings 16 plain images, from number `slab` on, into blocks; leaves the zeros around."""
    num_channels, num_positions = images.shape[1], images.shape[2] * images.shape[3]
    plain, image_stride = images.reshape(-1), num_channels * num_positions
    last = num_positions - LANES
    for channel in range(num_channels):
        start, base = slab * image_stride + channel * num_positions, channel * layout.plane
        if last < 0:
            for position in range(num_positions):
                for lane in range(LANES):
                    number = plain[start + lane * image_stride + position]
                    out[base + layout.places[position] + lane] = number
        else:
            for position in range(0, num_positions, LANES):
                # The last block overlaps the one before rather than reach beyond the plane.
                first = min(position, last)
                blocked_from_plain(
                    out, base, layout.places, first, plain, start + first, image_stride
                )


@compiled
def _to_plain(images, slab, source, layout):
    """The inverse of `_to_blocks`."""
    num_channels, num_positions = images.shape[1], images.shape[2] * images.shape[3]
    plain, image_stride = images.reshape(-1), num_channels * num_positions
    last = num_positions - LANES
    for channel in range(num_channels):
        start, base = slab * image_stride + channel * num_positions, channel * layout.plane
        if last < 0:
            for position in range(num_positions):
                for lane in range(LANES):
                    number = source[base + layout.places[position] + lane]
                    plain[start + lane * image_stride + position] = number
        else:
            for position in range(0, num_positions, LANES):
                first = min(position, last)
                plain_from_blocked(
                    plain, start + first, image_stride, source, base, layout.places, first
                )


@compiled
def forward_channels(tiling, out, out_start, out_layout, size, bias, weights, source, layout):
    """All output channels at all positions, of 16 images or, with columns as lanes, of one.

    `size` is the number of rows and of vectors in a row.
    """
    height, width = size
    num_channels, num_groups = weights.starts.shape[0], weights.starts.shape[1] - 1
    for top in range(0, height, len(tiling.rows)):
        for left in range(0, width, len(tiling.columns)):
            place = out_start + top * out_layout.row + left * LANES
            origin = top * tiling.stride * layout.row + left * len(tiling.step) * LANES
            for group in range(num_groups):
                for channel in range(num_channels):
                    start = weights.starts[channel, group]
                    stop = weights.starts[channel, group + 1]
                    if start == stop and group > 0:
                        continue
                    forward_tile(
                        tiling.rows,
                        tiling.columns,
                        tiling.step,
                        out,
                        channel * out_layout.plane + place,
                        out_layout.row,
                        group > 0,
                        bias[channel],
                        weights.values,
                        weights.offsets,
                        start,
                        stop,
                        source,
                        origin,
                        tiling.stride * layout.row,
                    )


@compiled
def forward_pass(result, tiling, images, source, layout, weights, bias, out, out_layout):
    """The convolution of images, 16 at a time.

    Args:
        result: (images, output channels, rows, columns).
        tiling: of the output.
        images: (images, input channels, rows, columns), a multiple of 16.
        source: memory for blocks of the input, zero wherever no image lies.
        layout: of these blocks.
        weights: by output channel.
        bias: of each output channel.
        out: memory for blocks of the output.
        out_layout: of these blocks, in which whole tiles fit.
    """
    for slab in range(0, len(images), LANES):
        _to_blocks(source, layout, images, slab)
        forward_channels(
            tiling, out, 0, out_layout, result.shape[2:], bias, weights, source, layout
        )
        _to_plain(result, slab, out, out_layout)


@compiled
def backward_channels(
    tiling, out, image, start, layout, grid, number, weight_sums, weights, gradient, gradient_layout
):
    """The gradients of all input channels at the positions of one class, as `forward_channels`."""
    first, height, width = grid
    starts = weights.starts
    for top in range(0, height, len(tiling.rows)):
        # A row of tiles of all input channels fits into the second cache, and all along it the
        # weights and their sums are of one group only.
        for group in range(len(starts)):
            for left in range(0, width, len(tiling.columns)):
                place = start + first + top * tiling.stride * layout.row
                place += left * len(tiling.step) * LANES
                origin = top * gradient_layout.row + left * LANES
                for channel in range(starts.shape[2] - 1):
                    taps = starts[group, number, channel], starts[group, number, channel + 1]
                    if taps[0] == taps[1] and group > 0:
                        continue
                    backward_tile(
                        tiling.rows,
                        tiling.columns,
                        tiling.step,
                        out,
                        group > 0,
                        image,
                        channel * layout.plane + place,
                        tiling.stride * layout.row,
                        weight_sums,
                        weights.values,
                        weights.offsets,
                        taps[0],
                        taps[1],
                        gradient,
                        origin,
                        gradient_layout.row,
                    )


@compiled
def backward_pass(
    result,
    tiling,
    grids,
    images,
    image,
    layout,
    slopes,
    gradient,
    gradient_layout,
    weights,
    weight_sums,
    out,
):
    """The gradients of images, and of the weights lane by lane.

    Input positions fall into classes by their remainder after division by the stride: those of a
    class meet the same taps of the kernel.

    Args:
        result: the gradients of the images.
        tiling: of each class.
        grids: of each class: place of the first position in the blocks, number of rows and columns.
        images: (images, input channels, rows, columns), a multiple of 16.
        image: memory for blocks of the images, zero wherever no image lies.
        layout: of these blocks, in which whole tiles of every class fit.
        slopes: the gradient of the output, (images, output channels, rows, columns).
        gradient: memory for blocks of the output's gradient, zero wherever none lies.
        gradient_layout: of these blocks.
        weights: by group of output channels, class and input channel.
        weight_sums: 16 for each non-zero, to which the gradients are added.
        out: memory for blocks of the input's gradient, in the layout of the image.
    """
    for slab in range(0, len(images), LANES):
        _to_blocks(image, layout, images, slab)
        _to_blocks(gradient, gradient_layout, slopes, slab)
        for number in range(len(grids)):
            backward_channels(
                tiling,
                out,
                image,
                0,
                layout,
                grids[number],
                number,
                weight_sums,
                weights,
                gradient,
                gradient_layout,
            )
        _to_plain(result, slab, out, layout)


@compiled
def sum_lanes(out, sums):
    """The sum over the 16 lanes of each."""
    for k in range(len(out)):
        total = np.float32(0)
        for lane in range(LANES):
            total += sums[k * LANES + lane]
        out[k] = total
