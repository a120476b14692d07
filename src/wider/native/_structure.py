"""Where the non-zero weights of a layer are."""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32, Int64
from numpy.typing import NDArray
from torch import Tensor

MOST_TRANSPOSED = 256  # structures kept by input; a net has one per layer


def structure_of(
    mask: Bool[Tensor, "out ..."],
) -> tuple[Int32[Tensor, " nonzeros"], Int64[Tensor, " out_plus_one"]]:
    """The non-zeros of a layer, row by row (an output unit or channel is a row).

    Args:
        mask: True where the weight is kept.

    Returns:
        The place of each non-zero in its flattened row, and the first non-zero of each row with
        their number at the end.
    """
    rows = mask.detach().cpu().flatten(1)
    counts = rows.sum(1)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    return rows.nonzero()[:, 1].to(torch.int32), starts


def row_of_each(starts: Int64[Tensor, " out_plus_one"]) -> Int64[Tensor, " nonzeros"]:
    """The row that each non-zero belongs to."""
    rows = torch.arange(len(starts) - 1, device=starts.device)
    return rows.repeat_interleave(starts.diff())


def dense_from(
    values: Float[Tensor, " nonzeros"],
    columns: Int32[Tensor, " nonzeros"],
    starts: Int64[Tensor, " out_plus_one"],
    shape: torch.Size,
) -> Float[Tensor, "out ..."]:
    """The dense weight of that shape, with zeros elsewhere; differentiable by the values."""
    flat = values.new_zeros(len(starts) - 1, shape[1:].numel())
    return flat.index_put((row_of_each(starts), columns.long()), values).reshape(shape)


class ByInput(NamedTuple):
    """The non-zeros of a linear layer in the order of its inputs.

    Attributes:
        order: places in the order by rows.
        rows: output unit of each.
        starts: first non-zero of each input unit, and their number at the end.
    """

    order: NDArray[np.int64]
    rows: NDArray[np.int32]
    starts: NDArray[np.int64]


_by_input: OrderedDict[tuple, ByInput] = OrderedDict()


def by_input(columns: NDArray[np.int32], starts: NDArray[np.int64], in_features: int) -> ByInput:
    """The transposed structure, from a cache where it is known."""
    # By content: an address or an identity could be another structure's by now.
    key = (columns.tobytes(), starts.tobytes(), in_features)
    if key in _by_input:
        _by_input.move_to_end(key)
        return _by_input[key]
    rows = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    order = np.argsort(columns, kind="stable")
    first = np.searchsorted(columns[order], np.arange(in_features + 1))
    found = _by_input[key] = ByInput(order, rows[order], first.astype(np.int64))
    while len(_by_input) > MOST_TRANSPOSED:
        _by_input.popitem(last=False)
    return found
