"""In which order a linear layer's kernels go over its non-zeros.

The kernels keep features as [feature][lane]. Where there are enough non-zeros, they go over them by
blocks of so many features that a block stays in the first cache.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int32, Int64
from numpy.typing import NDArray
from torch import Tensor

from wider.native._library import LANES
from wider.native._structures import known_of

FIRST_CACHE = 48 << 10  # bytes for the block of features that a kernel gathers from
ENOUGH = 16  # non-zeros of a unit in a block, below which the work around them costs too much
LARGEST = 1024  # features in a block


class ByInput(NamedTuple):
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


class ByOutput(NamedTuple):
    """The non-zeros by output unit and, within, by block of input units.

    Attributes:
        starts: (out, blocks + 1), where each row's non-zeros start in a block.
        num_blocks: of input units.
    """

    starts: Int64[Tensor, "out blocks_plus_one"]
    num_blocks: int


class Structure:
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
        self._row_starts: dict[int, ByOutput] = {}
        self._by_input: dict[int, ByInput] = {}

    @property
    def num_outputs(self) -> int:
        """The number of output units."""
        return len(self._starts) - 1

    def row_starts(self, vectors: int) -> ByOutput:
        """The non-zeros by output unit, for tiles of so many vectors."""
        block = _block(len(self._columns), len(self._starts) - 1, self._in_features, vectors)
        if block not in self._row_starts:
            starts = self._worked_out_row_starts(block)
            self._row_starts[block] = ByOutput(torch.from_numpy(starts), starts.shape[1] - 1)
        return self._row_starts[block]

    def by_input(self, vectors: int) -> ByInput:
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

    def _worked_out_by_input(self, block: int) -> ByInput:
        rows = self._rows()
        num_blocks = max(1, -(-(len(self._starts) - 1) // block))
        number = rows // block
        places = number * self._in_features + self._columns
        order = np.argsort(places, kind="stable")
        edges = np.arange(num_blocks)[:, None] * self._in_features
        starts = np.searchsorted(places[order], edges + np.arange(self._in_features + 1))
        own_rows = (rows - number * block)[order].astype(np.int32)
        order, starts = order.astype(np.int32), starts.astype(np.int64)
        return ByInput(
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


def structure_for(columns: Tensor, starts: Tensor, in_features: int) -> Structure:
    """The structure of a layer with these buffers, from a cache where it is known."""
    known = known_of(columns, starts)
    if in_features not in known:
        known[in_features] = Structure(columns.numpy(), starts.numpy(), in_features)
    return known[in_features]
