"""Where the non-zero weights of a layer are, and what was worked out from it."""

import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

MOST_KEPT = 256  # kept by content; a net has one per layer

Known = dict[Any, Any]


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


def places_of(
    columns: Int32[Tensor, " nonzeros"], starts: Int64[Tensor, " out_plus_one"]
) -> tuple[Int64[Tensor, " nonzeros"], Int64[Tensor, " nonzeros"]]:
    """The row of each non-zero, and its place in it."""
    rows = torch.arange(len(starts) - 1, device=starts.device)
    # With the number of the result, which an export could not know.
    return rows.repeat_interleave(starts.diff(), output_size=len(columns)), columns.long()


def dense_from(
    values: Float[Tensor, "nonzeros *one"],
    columns: Int32[Tensor, " nonzeros"],
    starts: Int64[Tensor, " out_plus_one"],
    shape: torch.Size,
) -> Float[Tensor, "out ..."]:
    """The dense weight of that shape, with zeros elsewhere; differentiable by the values."""
    flat = values.new_zeros(len(starts) - 1, shape[1:].numel())
    return flat.index_put(places_of(columns, starts), values.reshape(-1)).reshape(shape)


class _Remembered(NamedTuple):
    columns: weakref.ref
    starts: weakref.ref
    state: tuple
    known: Known


_by_identity: dict[int, _Remembered] = {}
_by_content: OrderedDict[tuple, Known] = OrderedDict()


def known_of(columns: Int32[Tensor, " nonzeros"], starts: Int64[Tensor, " out_plus_one"]) -> Known:
    """What is known of a layer with these buffers, for its kernels to read and to fill.

    Args:
        columns: place of each non-zero in its output's flattened weights.
        starts: first non-zero of each output, and their number at the end.

    Returns:
        The same dictionary for the same non-zeros, and never that of others.
    """
    # The same tensor, unchanged: PyTorch counts what it writes to a tensor. An address alone could
    # be another structure's by now.
    state = _state(columns, starts)
    found = _by_identity.get(id(columns))
    if (
        found is not None
        and state is not None
        and found.columns() is columns
        and found.starts() is starts
        and found.state == state
    ):
        return found.known
    known = _from_content(columns, starts)
    if state is not None:
        key = id(columns)
        forget = weakref.ref(columns, lambda _: _by_identity.pop(key, None))
        _by_identity[key] = _Remembered(forget, weakref.ref(starts), state, known)
    return known


def _state(columns: Tensor, starts: Tensor) -> tuple | None:
    """Changes when the tensors do; None where PyTorch does not count."""
    if columns.is_inference() or starts.is_inference():
        return None
    return columns._version, columns.data_ptr(), starts._version, starts.data_ptr()


def _from_content(columns: Tensor, starts: Tensor) -> Known:
    key = (columns.numpy().tobytes(), starts.numpy().tobytes())
    known = _by_content.setdefault(key, {})
    _by_content.move_to_end(key)
    while len(_by_content) > MOST_KEPT:
        _by_content.popitem(last=False)
    return known
