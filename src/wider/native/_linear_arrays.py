"""A sparse linear layer as functions of arrays."""

from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from wider.native import _linear_kernels, _memory
from wider.native._linear_plan import Structure
from wider.native._mlp_kernels import vectors_for
from wider.native._threads import in_parallel, parts
from wider.native._vectors import LANES

Array = NDArray[np.float32]

FEW = 4  # images that a layer takes one by one rather than as 16 lanes
GROUP = {"forward": 256, "backward": 1024}  # units whose sums lie in the second cache
WORK = 12_000_000  # multiply-adds for which a thread more pays
WORK_OF_FEW = 200_000


def forward_few(
    images: Array, values: Array, columns: NDArray[np.int32], starts: NDArray[np.int64], bias: Array
) -> Array:
    """The layer's outputs for `FEW` images at most; arguments as in `sparse_linear`."""
    out = np.empty((len(images), len(starts) - 1), np.float32)
    shares = _shares(out.shape[1], len(values) * len(images) / WORK_OF_FEW)

    def task(number: int) -> None:
        own = shares[number]
        _linear_kernels.forward_few(out, own.start, own.stop, images, values, columns, starts, bias)

    in_parallel(task, len(shares))
    return out


def forward(
    images: Array,
    values: Array,
    columns: NDArray[np.int32],
    structure: Structure,
    bias: Array,
) -> Array:
    """The layer's outputs.

    Args:
        images: (batch, in).
        values, columns: the non-zeros, row by row.
        structure: of the layer.
        bias: of each output unit.

    Returns:
        (batch, out).
    """
    vectors = vectors_for(len(images))
    tile = len(vectors) * LANES
    starts = structure.row_starts(len(vectors))
    out = _memory.empty((len(images), len(bias)))
    shares = _shares(len(bias), len(values) * len(images) / WORK)
    sizes = images.shape[1], min(GROUP["forward"], len(bias))

    scratch = [_scratch(tile, sizes) for _ in shares]

    def task(number: int) -> None:
        own = shares[number]
        _linear_kernels.forward(
            vectors,
            out,
            own.start,
            own.stop,
            images,
            values,
            columns,
            starts,
            bias,
            scratch[number],
        )

    in_parallel(task, len(shares))
    return out


def backward(
    gradient: Array,
    images: Array,
    values: Array,
    structure: Structure,
    with_images: bool,
) -> tuple[Array, Array, Array]:
    """The gradients of images, values and bias; that of the images is empty if not asked for."""
    vectors = vectors_for(len(images))
    tile = len(vectors) * LANES
    order, rows, starts, block = structure.by_input(len(vectors))
    num_inputs, num_outputs = images.shape[1], gradient.shape[1]
    image_gradient = _memory.empty(images.shape if with_images else (0, num_inputs))
    value_gradient = _memory.empty(values.shape)
    if not len(images):
        value_gradient.fill(0)
    bias_gradient = np.zeros(num_outputs, np.float32)
    shares = _shares(num_inputs, 2 * len(values) * len(images) / WORK)
    group = min(GROUP["backward"], num_inputs)
    sizes = group, group, min(block, num_outputs)
    scratch = [_scratch(tile, sizes) for _ in shares]

    def task(number: int) -> None:
        own = shares[number]
        _linear_kernels.backward(
            vectors,
            (0,) if with_images else (),
            image_gradient,
            value_gradient,
            bias_gradient,
            own.start,
            own.stop,
            gradient,
            images,
            values,
            (order, rows, starts),
            block,
            scratch[number],
        )

    in_parallel(task, len(shares))
    return image_gradient, value_gradient, bias_gradient


def _shares(num_units: int, most: float) -> list[range]:
    """Which units each thread takes, whole blocks of 16, for so many threads at most."""
    if most < 2 or (num_threads := torch.get_num_threads()) == 1:
        return [range(num_units)]
    blocks = -(-num_units // LANES)
    return [
        range(part.start * LANES, min(part.stop * LANES, num_units))
        for part in parts(blocks, min(num_threads, int(most), blocks))
    ]


def _scratch(tile: int, sizes: tuple[int, ...]) -> tuple[Array, ...]:
    """Memory for so many features each."""
    lengths = [-(-size // LANES) * LANES * tile for size in sizes]
    edges = [0, *accumulate(lengths)]
    memory = _memory.empty((edges[-1],))
    return tuple(memory[start:stop] for start, stop in pairwise(edges))
