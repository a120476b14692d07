"""The native linear layer as PyTorch operators, known to autograd and torch.compile."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wider.native import _linear_kernels
from wider.native._arrays import bias_array, whole_tiles
from wider.native._mlp_kernels import vectors_for
from wider.native._structure import by_input
from wider.native._vectors import LANES

FEW = 2  # images that a linear layer takes one by one rather than as 16 lanes


@torch.library.custom_op("wider::sparse_linear", mutates_args=())
def sparse_linear(
    images: Tensor, values: Tensor, columns: Tensor, starts: Tensor, bias: Tensor | None
) -> Tensor:
    """images W^T + bias with the non-zeros of W only.

    Args:
        images: (batch, in), float32 on the CPU.
        values: the non-zeros, row by row.
        columns: input unit of each, int32.
        starts: first non-zero of each output unit, and their number at the end, int64.
        bias: of each output unit, or None.

    Returns:
        (batch, out).
    """
    weights = values.numpy(), columns.numpy(), starts.numpy(), bias_array(bias, len(starts) - 1)
    if len(images) <= FEW:
        out = np.empty((len(images), len(starts) - 1), np.float32)
        _linear_kernels.forward_few(out, images.contiguous().numpy(), *weights)
        return torch.from_numpy(out)
    vectors = vectors_for(len(images))
    whole = whole_tiles(images, len(vectors) * LANES)
    out = np.empty((len(whole), len(starts) - 1), np.float32)
    _linear_kernels.forward(vectors, out, whole, *weights)
    return torch.from_numpy(out[: len(images)])


@sparse_linear.register_fake
def _(images, values, columns, starts, bias):
    return images.new_empty(len(images), len(starts) - 1)


@torch.library.custom_op("wider::sparse_linear_backward", mutates_args=())
def sparse_linear_backward(
    gradient: Tensor, images: Tensor, values: Tensor, columns: Tensor, starts: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of `sparse_linear` by its images and its values."""
    vectors = vectors_for(len(images))
    tile = len(vectors) * LANES
    whole = whole_tiles(images, tile)
    image_gradient, value_gradient = np.empty_like(whole), np.zeros(len(values), np.float32)
    own = by_input(columns.numpy(), starts.numpy(), images.shape[1])
    _linear_kernels.backward(
        vectors,
        image_gradient,
        value_gradient,
        whole_tiles(gradient, tile),
        whole,
        columns.numpy(),
        starts.numpy(),
        (values.numpy()[own.order], own.rows, own.starts),
    )
    return torch.from_numpy(image_gradient[: len(images)]), torch.from_numpy(value_gradient)


@sparse_linear_backward.register_fake
def _(gradient, images, values, columns, starts):
    return torch.empty_like(images), torch.empty_like(values)


def _remember(ctx, inputs, output) -> None:
    images, values, columns, starts, bias = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(images, values, columns, starts)


def _linear_gradients(ctx, gradient: Float[Tensor, "batch out"]):
    by_images, by_values = sparse_linear_backward(gradient.contiguous(), *ctx.saved_tensors)
    return by_images, by_values, None, None, gradient.sum(0) if ctx.has_bias else None


sparse_linear.register_autograd(_linear_gradients, setup_context=_remember)
