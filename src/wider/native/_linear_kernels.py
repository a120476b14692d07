"""A sparse linear layer on tiles of images, in compiled calls."""

# pyright: reportCallIssue=false
# (Numba gives intrinsics their first argument, which pyright takes for one of the call's.)

from wider.native._compiled import compiled
from wider.native._linear_vectors import (
    gathered_dot,
    lanes_from_rows,
    linear_column,
    linear_row,
    prefetch,
    rows_from_lanes,
)
from wider.native._vectors import LANES


@compiled
def _to_tile(vectors, out, rows, first_row, first_column, stop_column, totals):
    """Some columns of a tile of rows, [image][feature], to [feature][image].

    What is missing of the last 16 columns and of the tile's rows becomes zero. The sum of each
    column is added to `totals`, unless that is None.
    """
    tile, num_rows, num_columns = len(vectors) * LANES, rows.shape[0], rows.shape[1]
    plain = rows.reshape(-1)
    # Along 16 rows at a time, which the processor fetches ahead of the loop.
    for lane in range(0, tile, LANES):
        row = first_row + lane
        height = min(LANES, num_rows - row)
        for column in range(first_column, stop_column, LANES):
            width, place = min(LANES, stop_column - column), (column - first_column) * tile + lane
            if height > 0:
                start = row * num_columns + column
                lanes_from_rows(
                    out, place, tile, plain, start, num_columns, height, width, totals, column
                )
            else:
                for feature in range(width):
                    out[place + feature * tile : place + feature * tile + LANES] = 0


@compiled
def _from_tile(vectors, rows, first_row, first_column, stop_column, source):
    """The inverse of `_to_tile`, for the rows that exist."""
    tile, num_rows, num_columns = len(vectors) * LANES, rows.shape[0], rows.shape[1]
    plain = rows.reshape(-1)
    for lane in range(0, min(tile, num_rows - first_row), LANES):
        row = first_row + lane
        height = min(LANES, num_rows - row)
        for column in range(first_column, stop_column, LANES):
            width, place = min(LANES, stop_column - column), (column - first_column) * tile + lane
            start = row * num_columns + column
            rows_from_lanes(plain, start, num_columns, height, width, source, place, tile)


@compiled
def _ask_for(rows, row, first_column, stop_column):
    """Has the processor fetch part of a row, while it computes something else.

    The parts are short and rows lie far apart, which a processor does not foresee.
    """
    start = row * rows.shape[1]
    for column in range(first_column, stop_column, LANES):
        prefetch(rows.reshape(-1), start + column)


@compiled
def forward(vectors, out, first_unit, stop_unit, images, values, columns, starts, bias, scratch):
    """Some output units of out = images W^T + bias.

    Args:
        vectors: see `_vectors`.
        out: (batch, out).
        first_unit, stop_unit: which units; the first is a multiple of 16.
        images: (batch, in).
        values, columns: the non-zeros, row by row.
        starts: (out, blocks of inputs + 1), where each row's non-zeros start in a block.
        bias: of each unit.
        scratch: for the tile's features, and those of a group of units.
    """
    tile = len(vectors) * LANES
    num_blocks = starts.shape[1] - 1
    source, result = scratch
    group = len(result) // tile
    for first_image in range(0, len(images), tile):
        _to_tile(vectors, source, images, first_image, 0, images.shape[1], None)
        for first in range(first_unit, stop_unit, group):
            stop = min(first + group, stop_unit)
            for block in range(num_blocks):
                for row in range(first, stop):
                    linear_row(
                        vectors, result, (row - first) * tile, block > 0, bias[row],
                        values, columns, starts[row, block], starts[row, block + 1], source,
                    )  # fmt: skip
            _from_tile(vectors, out, first_image, first, stop, result)


@compiled
def forward_few(out, first_unit, stop_unit, images, values, columns, starts, bias):
    """The same for a few images, too few to be the lanes of a vector."""
    plain, num_inputs = images.reshape(-1), images.shape[1]
    for row in range(first_unit, stop_unit):
        for image in range(len(images)):
            start = image * num_inputs
            dot = gathered_dot(values, columns, starts[row], starts[row + 1], plain, start)
            out[image, row] = bias[row] + dot


@compiled
def backward(
    vectors, wanted, image_gradient, value_gradient, bias_gradient, first_unit, stop_unit,
    gradient, images, values, by_input, block, scratch,
):  # fmt: skip
    """The gradients that concern some input units: of their images and their weights.

    Args:
        vectors: see `_vectors`.
        wanted: an empty tuple where the gradient of the images is not.
        image_gradient: (batch, in); not touched where it is not wanted.
        value_gradient: its entries of these units are set.
        bias_gradient: added to, if these units are the first.
        first_unit, stop_unit: which input units; the first is a multiple of 16.
        gradient: (batch, out), of the layer's output.
        images: (batch, in).
        values: the non-zeros, row by row.
        by_input: order, rows and starts of the non-zeros by block of output units and, within, by
            input unit; rows count from the block's first. starts is (blocks, in + 1).
        block: output units in a block.
        scratch: for the features of a group of input units, their gradient, and a block's gradient.
    """
    order, rows, starts = by_input
    tile = len(vectors) * LANES
    num_outputs = gradient.shape[1]
    source, result, slopes = scratch
    group = len(source) // tile
    for first_image in range(0, len(images), tile):
        for first in range(first_unit, stop_unit, group):
            stop = min(first + group, stop_unit)
            _to_tile(vectors, source, images, first_image, first, stop, None)
            for number in range(len(starts)):
                first_row = number * block
                stop_row = min(first_row + block, num_outputs)
                if first == 0:
                    _to_tile(
                        vectors, slopes, gradient, first_image, first_row, stop_row, bias_gradient
                    )
                else:
                    _to_tile(vectors, slopes, gradient, first_image, first_row, stop_row, None)
                asked, last_image = 0, min(tile, len(images) - first_image)
                for unit in range(first, stop):
                    linear_column(
                        vectors, wanted, result, number > 0, source, (unit - first) * tile,
                        value_gradient, first_image > 0, values, order, rows,
                        starts[number, unit], starts[number, unit + 1], slopes,
                    )  # fmt: skip
                    # The next block's gradient, a row now and then.
                    while asked < last_image and asked * (stop - first) <= (unit - first) * tile:
                        next_stop = min(stop_row + block, num_outputs)
                        _ask_for(gradient, first_image + asked, stop_row, next_stop)
                        asked += 1
            if len(wanted) > 0:
                _from_tile(vectors, image_gradient, first_image, first, stop, result)
