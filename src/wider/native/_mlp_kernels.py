"""One epoch of a sparse MLP in one compiled call.

Activations are kept transposed, [feature][image], one tile of images at a time, so that images are
the lanes of vectors and every non-zero weight is one multiply-add per vector.
"""

# pyright: reportCallIssue=false
# (Numba gives intrinsics their first argument, which pyright takes for one of the call's.)

from typing import NamedTuple

import numpy as np

from wider.native._compiled import compiled
from wider.native._softmax import ROWS, measure
from wider.native._vectors import (
    LANES,
    backward_column,
    forward_row,
    transpose_block,
    weight_gradients,
)

MOST_VECTORS = 8  # in a tile: the sums fit into registers, with room for what else is there


class Network(NamedTuple):
    """A net of linear layers as flat arrays; layer l maps `sizes[l]` features to `sizes[l + 1]`.

    Rows are output units, numbered through all layers; non-zero weights are in the order of rows.

    Attributes:
        sizes: features before and after each layer.
        scales: what each layer multiplies its products by (1, or the NTK's 1/sqrt(fan_in)).
        relu: whether hidden units are rectified.
        first_row: of each layer, and the number of rows at the end.
        starts: first non-zero of each row, and their number at the end.
        columns: input unit of each non-zero.
        values: the non-zero weights.
        biases: one per row; all zero where the net has none.
        has_biases: whether the biases are trained.
        first_column: of each layer in `column_starts`; the first layer has none, since nothing
            needs the gradient of the images.
        column_starts: as `starts`, by input unit.
        column_rows: output unit within its layer of each non-zero, by input unit.
        column_order: place in `values` of each non-zero, by input unit.
    """

    sizes: np.ndarray
    scales: np.ndarray
    relu: bool
    first_row: np.ndarray
    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    biases: np.ndarray
    has_biases: bool
    first_column: np.ndarray
    column_starts: np.ndarray
    column_rows: np.ndarray
    column_order: np.ndarray


class Buffers(NamedTuple):
    """What one tile of images needs while it is in work.

    Attributes:
        first_feature: of the images and of each layer's output in `activations`.
        activations: [feature][lane] of the images and of every layer's output.
        gradient, lower: [unit][lane], the gradients of one layer's outputs and of its inputs.
        scratch, exponents: see `measure`.
    """

    first_feature: np.ndarray
    activations: np.ndarray
    gradient: np.ndarray
    lower: np.ndarray
    scratch: np.ndarray
    exponents: np.ndarray


class Gradients(NamedTuple):
    """Of `Network.values` and `Network.biases`, summed over the tiles of a batch."""

    values: np.ndarray
    biases: np.ndarray


def vectors_for(batch_size: int) -> tuple[int, ...]:
    """A tuple as long as a tile has vectors, so that a batch fills few tiles with little waste."""
    vectors = max(1, -(-batch_size // LANES))
    tiles = -(-vectors // MOST_VECTORS)
    return (0,) * -(-vectors // tiles)


@compiled
def train_epoch(vectors, net, velocity, images, row_length, labels, order, batch_size, rates):
    """One pass of SGD; mean loss and accuracy, each image's before its batch's step.

    Args:
        vectors: see `_vectors`.
        net: changed in place.
        velocity: momentum of `net.values` and `net.biases`, changed in place.
        images: flat rows of `row_length` numbers, a multiple of 16.
        row_length: the images' features, padded.
        labels: of the images.
        order: of the images; a further tile of any valid rows follows at its end.
        batch_size: images in a step.
        rates: learning rate, momentum, weight decay, as float32.
    """
    tile = len(vectors) * LANES
    buffers = make_buffers(vectors, net, row_length)
    gradients = Gradients(np.zeros_like(net.values), np.zeros_like(net.biases))
    column_values = np.empty(len(net.column_order), np.float32)
    total_loss, total_hits = 0.0, 0
    for start in range(0, len(labels), batch_size):
        stop = min(start + batch_size, len(labels))
        for k in range(len(column_values)):
            column_values[k] = net.values[net.column_order[k]]
        for first in range(start, stop, tile):
            count = min(tile, stop - first)
            rows = order[first : first + tile]
            loss, hits = forward(vectors, net, buffers, images, row_length, labels, rows, count)
            total_loss += loss
            total_hits += hits
            output_gradient(vectors, net, buffers, labels, rows, count, stop - start)
            backward(vectors, net, buffers, gradients, column_values)
        descend(net.values, gradients.values, velocity.values, rates)
        if net.has_biases:
            descend(net.biases, gradients.biases, velocity.biases, rates)
        gradients.values[:] = 0
        gradients.biases[:] = 0
    return total_loss / len(labels), total_hits / len(labels)


@compiled
def evaluate(vectors, net, images, row_length, labels, order):
    """Mean loss and accuracy over all images; arguments as in `train_epoch`."""
    tile = len(vectors) * LANES
    buffers = make_buffers(vectors, net, row_length)
    total_loss, total_hits = 0.0, 0
    for first in range(0, len(labels), tile):
        count = min(tile, len(labels) - first)
        rows = order[first : first + tile]
        loss, hits = forward(vectors, net, buffers, images, row_length, labels, rows, count)
        total_loss += loss
        total_hits += hits
    return total_loss / len(labels), total_hits / len(labels)


@compiled
def make_buffers(vectors, net, row_length):
    """Room for one tile of images."""
    tile = len(vectors) * LANES
    first_feature = np.zeros(len(net.sizes), np.int64)
    first_feature[1] = row_length
    for layer in range(1, len(net.sizes) - 1):
        first_feature[layer + 1] = first_feature[layer] + net.sizes[layer]
    widest = np.max(net.sizes[1:])
    return Buffers(
        first_feature,
        np.zeros((first_feature[-1] + net.sizes[-1]) * tile, np.float32),
        np.zeros(widest * tile, np.float32),
        np.zeros(widest * tile, np.float32),
        np.zeros((ROWS, tile), np.float32),
        np.zeros(tile, np.int32),
    )


@compiled
def forward(vectors, net, buffers, images, row_length, labels, rows, count):
    """Summed loss and hits of a tile of images; leaves probabilities in the last activations."""
    tile = len(vectors) * LANES
    activations, first_feature = buffers.activations, buffers.first_feature
    for lane in range(0, tile, LANES):
        for column in range(0, row_length, LANES):
            place = column * tile + lane
            transpose_block(activations, place, tile, images, rows, lane, row_length, column)
    last = len(net.sizes) - 2
    for layer in range(last + 1):
        for unit in range(net.sizes[layer + 1]):
            row = net.first_row[layer] + unit
            forward_row(
                vectors,
                activations,
                (first_feature[layer + 1] + unit) * tile,
                net.scales[layer],
                net.biases[row],
                net.relu and layer < last,
                net.values,
                net.columns,
                net.starts[row],
                net.starts[row + 1],
                activations,
                first_feature[layer] * tile,
            )
    scores = activations[first_feature[-1] * tile :]
    own = labels[rows]
    return measure(vectors, scores, net.sizes[-1], own, count, buffers.scratch, buffers.exponents)


@compiled
def output_gradient(vectors, net, buffers, labels, rows, count, batch_count):
    """Gradient of the batch's mean cross-entropy by the scores: probabilities minus the truth."""
    tile = len(vectors) * LANES
    probabilities = buffers.activations[buffers.first_feature[-1] * tile :]
    share = np.float32(1) / np.float32(batch_count)
    for place in range(0, net.sizes[-1] * tile, tile):
        for lane in range(place, place + tile):
            buffers.gradient[lane] = probabilities[lane] * share
        buffers.gradient[place + count : place + tile] = 0  # lanes that hold no image of the batch
    for lane in range(count):
        buffers.gradient[labels[rows[lane]] * tile + lane] -= share


@compiled
def backward(vectors, net, buffers, gradients, column_values):
    """Adds the gradients of one tile, from that of the scores."""
    tile = len(vectors) * LANES
    gradient, lower = buffers.gradient, buffers.lower
    for layer in range(len(net.sizes) - 2, -1, -1):
        source = buffers.first_feature[layer] * tile
        for unit in range(net.sizes[layer + 1]):
            row = net.first_row[layer] + unit
            weight_gradients(
                vectors,
                gradients.values,
                gradients.biases,
                row,
                net.scales[layer],
                gradient,
                unit * tile,
                net.columns,
                net.starts[row],
                net.starts[row + 1],
                buffers.activations,
                source,
            )
        if layer:
            for unit in range(net.sizes[layer]):
                column = net.first_column[layer] + unit
                backward_column(
                    vectors,
                    lower,
                    unit * tile,
                    net.scales[layer],
                    buffers.activations,
                    source + unit * tile,
                    net.relu,
                    column_values,
                    net.column_rows,
                    net.column_starts[column],
                    net.column_starts[column + 1],
                    gradient,
                    0,
                )
            gradient, lower = lower, gradient


@compiled
def descend(parameters, gradient, velocity, rates):
    """One step of SGD as torch.optim.SGD does it; a velocity of zero starts the momentum."""
    learning_rate, momentum, weight_decay = rates
    if momentum == 0:
        for k in range(len(parameters)):
            parameters[k] -= learning_rate * (gradient[k] + weight_decay * parameters[k])
    else:
        for k in range(len(parameters)):
            velocity[k] = momentum * velocity[k] + (gradient[k] + weight_decay * parameters[k])
            parameters[k] -= learning_rate * velocity[k]
