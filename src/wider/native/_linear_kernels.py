"""A sparse linear layer on tiles of images, in compiled calls."""

# pyright: reportCallIssue=false
# (Numba gives intrinsics their first argument, which pyright takes for one of the call's.)

import numpy as np

from wider.native._compiled import compiled
from wider.native._vectors import (
    LANES,
    backward_column,
    forward_row,
    transpose_block,
    weight_gradients,
)


@compiled
def to_tile(vectors, out, rows, num_features):
    """[image][feature] to [feature][image], for one tile of rows."""
    tile = len(vectors) * LANES
    images = np.arange(LANES)
    whole = num_features - num_features % LANES
    flat = rows.reshape(-1)
    for first in range(0, tile, LANES):
        for column in range(0, whole, LANES):
            start = column * tile + first
            transpose_block(
                out, start, tile, flat[first * num_features :], images, 0, num_features, column
            )
        for column in range(whole, num_features):
            for lane in range(first, first + LANES):
                out[column * tile + lane] = rows[lane, column]


@compiled
def from_tile(vectors, rows, source, num_features):
    """The inverse of `to_tile`."""
    tile = len(vectors) * LANES
    for column in range(num_features):
        for lane in range(tile):
            rows[lane, column] = source[column * tile + lane]


@compiled
def forward(vectors, out, images, values, columns, starts, bias):
    """out = images W^T + bias, for a number of images that fills whole tiles."""
    tile = len(vectors) * LANES
    source = np.empty(images.shape[1] * tile, np.float32)
    result = np.empty(out.shape[1] * tile, np.float32)
    one = np.float32(1)
    for first in range(0, len(images), tile):
        to_tile(vectors, source, images[first : first + tile], images.shape[1])
        for row in range(out.shape[1]):
            forward_row(
                vectors, result, row * tile, one, bias[row], False,
                values, columns, starts[row], starts[row + 1], source, 0,
            )  # fmt: skip
        from_tile(vectors, out[first : first + tile], result, out.shape[1])


@compiled
def backward(vectors, image_gradient, value_gradient, gradient, images, columns, starts, by_input):
    """The gradients of images and values; `by_input` is (values, rows, starts) by input unit."""
    own_values, own_rows, own_starts = by_input
    tile = len(vectors) * LANES
    num_inputs, num_outputs = images.shape[1], gradient.shape[1]
    source = np.empty(num_inputs * tile, np.float32)
    slopes = np.empty(num_outputs * tile, np.float32)
    result = np.empty(num_inputs * tile, np.float32)
    totals = np.zeros(num_outputs, np.float32)
    one = np.float32(1)
    for first in range(0, len(images), tile):
        to_tile(vectors, source, images[first : first + tile], num_inputs)
        to_tile(vectors, slopes, gradient[first : first + tile], num_outputs)
        for row in range(num_outputs):
            weight_gradients(
                vectors, value_gradient, totals, row, one, slopes, row * tile,
                columns, starts[row], starts[row + 1], source, 0,
            )  # fmt: skip
        for unit in range(num_inputs):
            backward_column(
                vectors, result, unit * tile, one, source, unit * tile, False,
                own_values, own_rows, own_starts[unit], own_starts[unit + 1], slopes, 0,
            )  # fmt: skip
        from_tile(vectors, image_gradient[first : first + tile], result, num_inputs)
