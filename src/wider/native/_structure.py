"""Where the non-zero weights of a layer are."""

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor


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
