"""A sparse linear layer on tiles of images, in compiled calls."""

# pyright: reportCallIssue=false
# (Numba gives intrinsics their first argument, which pyright takes for one of the call's.)

import numpy as np

from wider.native._compiled import compiled
from wider.native._tiles import blocked_from_plain, plain_from_blocked
from wider.native._vectors import LANES, backward_column, forward_row, weight_gradients


@compiled
def _to_tile(vectors, out, rows):
    """[image][feature] to [feature][image], for one tile of rows."""
    tile, num_features = len(vectors) * LANES, rows.shape[1]
    plain, places = rows.reshape(-1), np.arange(num_features) * tile
    last = num_features - LANES
    for lane in range(0, tile, LANES):
        if last < 0:
            for feature in range(num_features):
                for image in range(lane, lane + LANES):
                    out[places[feature] + image] = rows[image, feature]
        else:
            for feature in range(0, num_features, LANES):
                # The last block overlaps the one before rather than reach beyond the row.
                first = min(feature, last)
                start = lane * num_features + first
                blocked_from_plain(out, lane, places, first, plain, start, num_features)


@compiled
def _from_tile(vectors, rows, source):
    """The inverse of `_to_tile`."""
    tile, num_features = len(vectors) * LANES, rows.shape[1]
    plain, places = rows.reshape(-1), np.arange(num_features) * tile
    last = num_features - LANES
    for lane in range(0, tile, LANES):
        if last < 0:
            for feature in range(num_features):
                for image in range(lane, lane + LANES):
                    rows[image, feature] = source[places[feature] + image]
        else:
            for feature in range(0, num_features, LANES):
                first = min(feature, last)
                start = lane * num_features + first
                plain_from_blocked(plain, start, num_features, source, lane, places, first)


@compiled
def forward(vectors, out, images, values, columns, starts, bias):
    """out = images W^T + bias, for a number of images that fills whole tiles."""
    tile = len(vectors) * LANES
    source = np.empty(images.shape[1] * tile, np.float32)
    result = np.empty(out.shape[1] * tile, np.float32)
    one = np.float32(1)
    for first in range(0, len(images), tile):
        _to_tile(vectors, source, images[first : first + tile])
        for row in range(out.shape[1]):
            forward_row(
                vectors, result, row * tile, one, bias[row], False,
                values, columns, starts[row], starts[row + 1], source, 0,
            )  # fmt: skip
        _from_tile(vectors, out[first : first + tile], result)


@compiled
def forward_few(out, images, values, columns, starts, bias):
    """The same for a few images, too few to be the lanes of a vector."""
    for image in range(len(images)):
        for row in range(out.shape[1]):
            total = bias[row]
            for k in range(starts[row], starts[row + 1]):
                total += values[k] * images[image, columns[k]]
            out[image, row] = total


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
        _to_tile(vectors, source, images[first : first + tile])
        _to_tile(vectors, slopes, gradient[first : first + tile])
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
        _from_tile(vectors, image_gradient[first : first + tile], result)
