"""A sparse linear layer as functions of tensors."""

import torch
from torch import Tensor

from wider.native._library import LANES, Job, pointers, whole_numbers
from wider.native._linear_plan import Structure
from wider.native._memory import empty, zeros
from wider.native._threads import run_shares

FEW = 4  # images that a layer takes one by one rather than as lanes
MOST_VECTORS = 8  # in a tile of images
FORWARD_GROUP, BACKWARD_GROUP = 256, 1024  # units whose sums lie in the second cache
WORK = 12_000_000  # multiply-adds for which a thread more pays
WORK_OF_FEW = 200_000


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


def forward_few(
    images: Tensor, values: Tensor, columns: Tensor, starts: Tensor, bias: Tensor | None
) -> Tensor:
    """The layer's outputs for `FEW` images at most; arguments as in `sparse_linear`."""
    num_images, num_inputs = images.shape
    num_outputs = len(starts) - 1
    out = empty((num_images, num_outputs))
    count = _num_shares(num_outputs, values.numel() * num_images / WORK_OF_FEW)
    job = _Forward(
        *(out.data_ptr(), images.data_ptr(), values.data_ptr(), columns.data_ptr()),
        *(starts.data_ptr(), 0 if bias is None else bias.data_ptr()),
        *(num_images, num_inputs, num_outputs, 1, 1, 1, count),
    )
    run_shares("linear_forward_few", job, count)
    return out


def forward(
    images: Tensor, values: Tensor, columns: Tensor, structure: Structure, bias: Tensor | None
) -> Tensor:
    """The layer's outputs.

    Args:
        images: (batch, in), contiguous.
        values, columns: the non-zeros, row by row.
        structure: of the layer.
        bias: of each output unit, or None.

    Returns:
        (batch, out).
    """
    num_images, num_inputs = images.shape
    vectors = vectors_for(num_images)
    starts, num_blocks = structure.row_starts(vectors)
    num_outputs = structure.num_outputs
    out = empty((num_images, num_outputs))
    count = _num_shares(num_outputs, values.numel() * num_images / WORK)
    job = _Forward(
        *(out.data_ptr(), images.data_ptr(), values.data_ptr(), columns.data_ptr()),
        *(starts.data_ptr(), 0 if bias is None else bias.data_ptr()),
        *(num_images, num_inputs, num_outputs, num_blocks, vectors),
        *(min(FORWARD_GROUP, num_outputs), count),
    )
    run_shares("linear_forward", job, count)
    return out


def backward(
    gradient: Tensor, images: Tensor, values: Tensor, structure: Structure, with_images: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of images, values and bias; that of the images is empty if not asked for."""
    num_images, num_inputs = images.shape
    num_outputs = structure.num_outputs
    vectors = vectors_for(num_images)
    order, rows, starts, block, num_blocks = structure.by_input(vectors)
    image_gradient = empty((num_images if with_images else 0, num_inputs))
    value_gradient = empty(values.shape) if num_images else zeros(values.shape)
    bias_gradient = zeros((num_outputs,))
    count = _num_shares(num_inputs, 2 * values.numel() * num_images / WORK)
    job = _Backward(
        *(image_gradient.data_ptr() if with_images else 0, value_gradient.data_ptr()),
        *(bias_gradient.data_ptr(), gradient.data_ptr(), images.data_ptr(), values.data_ptr()),
        *(order.data_ptr(), rows.data_ptr(), starts.data_ptr()),
        *(num_images, num_inputs, num_outputs, num_blocks, min(block, num_outputs), vectors),
        *(min(BACKWARD_GROUP, num_inputs), count),
    )
    run_shares("linear_backward", job, count)
    return image_gradient, value_gradient, bias_gradient


def _num_shares(num_units: int, most: float) -> int:
    """How many threads take part, at most so many, each with whole vectors of units."""
    if most < 2:
        return 1
    return max(1, min(torch.get_num_threads(), int(most), -(-num_units // LANES)))
