"""A sparse linear layer on the CPU: calls of the kernels, and the order that they are given.

The kernels keep features as [feature][lane]. Where there are enough non-zeros, they go over them by
blocks of so many features that a block stays in the first cache.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int32, Int64
from numpy.typing import NDArray
from torch import Tensor

from wider.native._runtime import (
    LANES,
    Job,
    address,
    empty,
    kernel_named,
    pointers,
    run_shares,
    whole_numbers,
    zeros,
)
from wider.native._structure import known_of

FEW = 4  # images that a layer takes one by one rather than as lanes
MOST_VECTORS = 8  # in a tile of images
FORWARD_GROUP, BACKWARD_GROUP = 256, 1024  # units whose sums lie in the second cache
WORK = 12_000_000  # multiply-adds for which a thread more pays
WORK_OF_FEW = 200_000

FIRST_CACHE = 48 << 10  # bytes for the block of features that a kernel gathers from
ENOUGH = 16  # non-zeros of a unit in a block, below which the work around them costs too much
LARGEST = 1024  # features in a block


class _Forward(Job):
    _fields_ = (
        *pointers("out", "images", "values", "columns", "starts", "bias"),
        *whole_numbers("num_images", "num_inputs", "num_outputs", "num_blocks", "vectors"),
        *whole_numbers("group", "num_shares"),
    )


class _Backward(Job):
    _fields_ = (
        *pointers("image_gradient", "value_gradient", "bias_gradient", "gradient", "images"),
        *pointers("values", "order", "rows", "starts"),
        *whole_numbers("num_images", "num_inputs", "num_outputs", "num_blocks", "block", "vectors"),
        *whole_numbers("group", "num_shares"),
    )


def vectors_for(batch_size: int) -> int:
    """Vectors in a tile of images, so that a batch fills few tiles with little waste."""
    vectors = max(1, -(-batch_size // LANES))
    tiles = -(-vectors // MOST_VECTORS)
    return -(-vectors // tiles)


def _forward_few(
    images: Tensor, values: Tensor, columns: Tensor, starts: Tensor, bias: Tensor | None
) -> Tensor:
    """For `FEW` images at most."""
    num_images, num_inputs = images.shape
    num_outputs = len(starts) - 1
    out = empty((num_images, num_outputs))
    count = _num_shares(num_outputs, values.numel() * num_images / WORK_OF_FEW)
    job = _Forward(
        *(out.data_ptr(), images.data_ptr(), values.data_ptr(), columns.data_ptr()),
        *(starts.data_ptr(), address(bias)),
        *(num_images, num_inputs, num_outputs, 1, 1, 1, count),
    )
    run_shares(kernel_named("linear_forward_few"), job, count)
    return out


def forward(
    images: Tensor, values: Tensor, columns: Tensor, starts: Tensor, bias: Tensor | None
) -> Tensor:
    """The layer's outputs; see `sparse_linear`."""
    num_images, num_inputs = images.shape
    if num_images <= FEW:
        return _forward_few(images, values, columns, starts, bias)
    structure = _structure_for(columns, starts, num_inputs)
    vectors = vectors_for(num_images)
    block_starts, num_blocks = structure.row_starts(vectors)
    num_outputs = structure.num_outputs
    out = empty((num_images, num_outputs))
    count = _num_shares(num_outputs, values.numel() * num_images / WORK)
    job = _Forward(
        *(out.data_ptr(), images.data_ptr(), values.data_ptr(), columns.data_ptr()),
        *(block_starts.data_ptr(), address(bias)),
        *(num_images, num_inputs, num_outputs, num_blocks, vectors),
        *(min(FORWARD_GROUP, num_outputs), count),
    )
    run_shares(kernel_named("linear_forward"), job, count)
    return out


def backward(
    gradient: Tensor,
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    with_images: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of images, values and bias; see `sparse_linear_backward`."""
    num_images, num_inputs = images.shape
    structure = _structure_for(columns, starts, num_inputs)
    num_outputs = structure.num_outputs
    vectors = vectors_for(num_images)
    order, rows, unit_starts, block, num_blocks = structure.by_input(vectors)
    image_gradient = empty((num_images if with_images else 0, num_inputs))
    value_gradient = empty(values.shape) if num_images else zeros(values.shape)
    bias_gradient = zeros((num_outputs,))
    count = _num_shares(num_inputs, 2 * values.numel() * num_images / WORK)
    job = _Backward(
        *(image_gradient.data_ptr() if with_images else 0, value_gradient.data_ptr()),
        *(bias_gradient.data_ptr(), gradient.data_ptr(), images.data_ptr(), values.data_ptr()),
        *(order.data_ptr(), rows.data_ptr(), unit_starts.data_ptr()),
        *(num_images, num_inputs, num_outputs, num_blocks, min(block, num_outputs), vectors),
        *(min(BACKWARD_GROUP, num_inputs), count),
    )
    run_shares(kernel_named("linear_backward"), job, count)
    return image_gradient, value_gradient, bias_gradient


def _num_shares(num_units: int, most: float) -> int:
    """How many threads take part, at most so many, each with whole vectors of units."""
    if most < 2:
        return 1
    return max(1, min(torch.get_num_threads(), int(most), -(-num_units // LANES)))


class _ByInput(NamedTuple):
    """The non-zeros by block of output units and, within, by input unit.

    Attributes:
        order: places in the order by rows.
        rows: output unit of each, from its block's first on.
        starts: (blocks, in + 1), first non-zero of each input unit in a block, and the last one's
            end.
        block: output units in a block.
        num_blocks: of output units.
    """

    order: Int32[Tensor, " nonzeros"]
    rows: Int32[Tensor, " nonzeros"]
    starts: Int64[Tensor, "blocks in_plus_one"]
    block: int
    num_blocks: int


class _ByOutput(NamedTuple):
    """The non-zeros by output unit and, within, by block of input units.

    Attributes:
        starts: (out, blocks + 1), where each row's non-zeros start in a block.
        num_blocks: of input units.
    """

    starts: Int64[Tensor, "out blocks_plus_one"]
    num_blocks: int


class _Structure:
    """Where a layer's non-zeros are, and the orders worked out from it so far.

    Args:
        columns: input unit of each non-zero, row by row.
        starts: first non-zero of each output unit, and their number at the end.
        in_features: the number of input units.
    """

    def __init__(
        self, columns: NDArray[np.int32], starts: NDArray[np.int64], in_features: int
    ) -> None:
        self._columns, self._starts, self._in_features = columns.copy(), starts.copy(), in_features
        self._row_starts: dict[int, _ByOutput] = {}
        self._by_input: dict[int, _ByInput] = {}

    @property
    def num_outputs(self) -> int:
        """The number of output units."""
        return len(self._starts) - 1

    def row_starts(self, vectors: int) -> _ByOutput:
        """The non-zeros by output unit, for tiles of so many vectors."""
        block = _block(len(self._columns), len(self._starts) - 1, self._in_features, vectors)
        if block not in self._row_starts:
            starts = self._worked_out_row_starts(block)
            self._row_starts[block] = _ByOutput(torch.from_numpy(starts), starts.shape[1] - 1)
        return self._row_starts[block]

    def by_input(self, vectors: int) -> _ByInput:
        """The non-zeros by input unit, for tiles of so many vectors."""
        block = _block(len(self._columns), self._in_features, len(self._starts) - 1, vectors)
        if block not in self._by_input:
            self._by_input[block] = self._worked_out_by_input(block)
        return self._by_input[block]

    def _rows(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))

    def _worked_out_row_starts(self, block: int) -> NDArray[np.int64]:
        places = self._rows() * self._in_features + self._columns
        num_blocks = -(-self._in_features // block)
        # Rows whose columns do not ascend cannot be cut into blocks.
        if num_blocks == 1 or not (np.diff(places) > 0).all():
            return np.stack([self._starts[:-1], self._starts[1:]], 1)
        edges = np.minimum(np.arange(num_blocks + 1) * block, self._in_features)
        first = np.arange(len(self._starts) - 1)[:, None] * self._in_features
        return np.searchsorted(places, first + edges).astype(np.int64)

    def _worked_out_by_input(self, block: int) -> _ByInput:
        rows = self._rows()
        num_blocks = max(1, -(-(len(self._starts) - 1) // block))
        number = rows // block
        places = number * self._in_features + self._columns
        order = np.argsort(places, kind="stable")
        edges = np.arange(num_blocks)[:, None] * self._in_features
        starts = np.searchsorted(places[order], edges + np.arange(self._in_features + 1))
        own_rows = (rows - number * block)[order].astype(np.int32)
        order, starts = order.astype(np.int32), starts.astype(np.int64)
        return _ByInput(
            torch.from_numpy(order),
            torch.from_numpy(own_rows),
            torch.from_numpy(starts),
            block,
            num_blocks,
        )


def _block(num_nonzeros: int, num_units: int, num_features: int, vectors: int) -> int:
    """Features in a block, a multiple of 16: as the first cache likes it if the units have enough.

    Args:
        num_nonzeros: of the layer.
        num_units: how many units gather.
        num_features: how many features they gather from.
        vectors: in a tile.
    """
    fits = FIRST_CACHE // (4 * LANES * vectors)
    enough = ENOUGH * num_units * num_features // max(1, num_nonzeros)
    return max(LANES, min(max(fits, -(-enough // LANES) * LANES), LARGEST))


def _structure_for(columns: Tensor, starts: Tensor, in_features: int) -> _Structure:
    """The structure of a layer with these buffers, from a cache where it is known."""
    known = known_of(columns, starts)
    if in_features not in known:
        known[in_features] = _Structure(columns.numpy(), starts.numpy(), in_features)
    return known[in_features]
