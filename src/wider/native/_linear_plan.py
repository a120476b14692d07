"""In which order a linear layer's kernels go over its non-zeros.

The kernels keep features as [feature][lane]. Where there are enough non-zeros, they go over them by
blocks of so many features that a block stays in the first cache.
"""

import weakref
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wider.native._vectors import LANES

FIRST_CACHE = 48 << 10  # bytes for the block of features that a kernel gathers from
ENOUGH = 16  # non-zeros of a unit in a block, below which the work around them costs too much
LARGEST = 1024  # features in a block
MOST_KEPT = 256  # structures kept by content; a net has one per layer


class ByInput(NamedTuple):
    """The non-zeros by block of output units and, within, by input unit.

    Attributes:
        order: places in the order by rows.
        rows: output unit of each, from its block's first on.
        starts: (blocks, in + 1), first non-zero of each input unit in a block, and the last one's
            end.
        block: output units in a block.
    """

    order: NDArray[np.int32]
    rows: NDArray[np.int32]
    starts: NDArray[np.int64]
    block: int


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
        self._row_starts: dict[int, NDArray[np.int64]] = {}
        self._by_input: dict[int, ByInput] = {}

    def row_starts(self, vectors: int) -> NDArray[np.int64]:
        """Where each row's non-zeros start in a block of inputs: (out, blocks + 1)."""
        block = _block(len(self._columns), len(self._starts) - 1, self._in_features, vectors)
        if block not in self._row_starts:
            self._row_starts[block] = self._worked_out_row_starts(block)
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
        return ByInput(order.astype(np.int32), own_rows, starts.astype(np.int64), block)


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


class _Known(NamedTuple):
    """A structure, and the tensors that it is that of."""

    columns: weakref.ref
    starts: weakref.ref
    state: tuple
    structure: Structure


_by_identity: dict[int, _Known] = {}
_by_content: OrderedDict[tuple, Structure] = OrderedDict()


def structure_for(columns: Tensor, starts: Tensor, in_features: int) -> Structure:
    """The structure of a layer with these buffers, from a cache where it is known."""
    # The same tensor, unchanged: PyTorch counts what it writes to a tensor. An address alone could
    # be another structure's by now.
    state = _state(columns, starts, in_features)
    known = _by_identity.get(id(columns))
    if (
        known is not None
        and state is not None
        and known.columns() is columns
        and known.starts() is starts
        and known.state == state
    ):
        return known.structure
    structure = _from_content(columns.numpy(), starts.numpy(), in_features)
    if state is not None:
        key = id(columns)
        forget = weakref.ref(columns, lambda _: _by_identity.pop(key, None))
        _by_identity[key] = _Known(forget, weakref.ref(starts), state, structure)
    return structure


def _state(columns: Tensor, starts: Tensor, in_features: int) -> tuple | None:
    """Changes when the tensors do; None where PyTorch does not count."""
    if columns.is_inference() or starts.is_inference():
        return None
    return columns._version, columns.data_ptr(), starts._version, starts.data_ptr(), in_features


def _from_content(
    columns: NDArray[np.int32], starts: NDArray[np.int64], in_features: int
) -> Structure:
    key = (columns.tobytes(), starts.tobytes(), in_features)
    if key not in _by_content:
        _by_content[key] = Structure(columns, starts, in_features)
        while len(_by_content) > MOST_KEPT:
            _by_content.popitem(last=False)
    _by_content.move_to_end(key)
    return _by_content[key]
