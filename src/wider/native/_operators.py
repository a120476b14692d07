"""The native layers as PyTorch operators: autograd, torch.compile and torch.export know them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wider.native import _conv, _linear_kernels
from wider.native._conv_plan import Geometry
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
    weights = values.numpy(), columns.numpy(), starts.numpy(), _bias(bias, len(starts) - 1)
    if len(images) <= FEW:
        out = np.empty((len(images), len(starts) - 1), np.float32)
        _linear_kernels.forward_few(out, images.contiguous().numpy(), *weights)
        return torch.from_numpy(out)
    vectors = vectors_for(len(images))
    whole = _whole_tiles(images, len(vectors) * LANES)
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
    whole = _whole_tiles(images, tile)
    image_gradient, value_gradient = np.empty_like(whole), np.zeros(len(values), np.float32)
    own = by_input(columns.numpy(), starts.numpy(), images.shape[1])
    _linear_kernels.backward(
        vectors,
        image_gradient,
        value_gradient,
        _whole_tiles(gradient, tile),
        whole,
        columns.numpy(),
        starts.numpy(),
        (values.numpy()[own.order], own.rows, own.starts),
    )
    return torch.from_numpy(image_gradient[: len(images)]), torch.from_numpy(value_gradient)


@sparse_linear_backward.register_fake
def _(gradient, images, values, columns, starts):
    return torch.empty_like(images), torch.empty_like(values)


@torch.library.custom_op("wider::sparse_conv2d", mutates_args=())
def sparse_conv2d(
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    bias: Tensor | None,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> Tensor:
    """A 2-d convolution with the non-zeros of its weight only.

    Args:
        images: (batch, channels, rows, columns), float32 on the CPU.
        values: the non-zeros, by output channel.
        columns: place of each in its output channel's flattened weights, int32.
        starts: first non-zero of each output channel, and their number at the end, int64.
        bias: of each output channel, or None.
        kernel: rows, columns.
        stride: along rows, columns.
        padding: zeros before and after rows, columns.

    Returns:
        (batch, output channels, rows, columns).
    """
    whole = _whole_tiles(images, LANES)
    geometry = _geometry(images, kernel, stride, padding)
    own_bias = _bias(bias, len(starts) - 1)
    out = _conv.forward(whole, values.numpy(), columns.numpy(), starts.numpy(), own_bias, geometry)
    return torch.from_numpy(out[: len(images)])


@sparse_conv2d.register_fake
def _(images, values, columns, starts, bias, kernel, stride, padding):
    geometry = _geometry(images, kernel, stride, padding)
    return images.new_empty(len(images), len(starts) - 1, *geometry.output)


@torch.library.custom_op("wider::sparse_conv2d_backward", mutates_args=())
def sparse_conv2d_backward(
    gradient: Tensor,
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """The gradients of `sparse_conv2d` by its images and its values."""
    image_gradient, value_gradient = _conv.backward(
        _whole_tiles(gradient, LANES),
        _whole_tiles(images, LANES),
        values.numpy(),
        columns.numpy(),
        starts.numpy(),
        _geometry(images, kernel, stride, padding),
    )
    return torch.from_numpy(image_gradient[: len(images)]), torch.from_numpy(value_gradient)


@sparse_conv2d_backward.register_fake
def _(gradient, images, values, columns, starts, kernel, stride, padding):
    return torch.empty_like(images), torch.empty_like(values)


def _remember(ctx, inputs, output) -> None:
    images, values, columns, starts, bias, *ctx.shape_of_the_kernel = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(images, values, columns, starts)


def _linear_gradients(ctx, gradient: Float[Tensor, "batch out"]):
    by_images, by_values = sparse_linear_backward(gradient.contiguous(), *ctx.saved_tensors)
    return by_images, by_values, None, None, gradient.sum(0) if ctx.has_bias else None


def _conv_gradients(ctx, gradient: Float[Tensor, "batch out rows columns"]):
    by_images, by_values = sparse_conv2d_backward(
        gradient.contiguous(), *ctx.saved_tensors, *ctx.shape_of_the_kernel
    )
    by_bias = gradient.sum((0, 2, 3)) if ctx.has_bias else None
    return by_images, by_values, None, None, by_bias, None, None, None


sparse_linear.register_autograd(_linear_gradients, setup_context=_remember)
sparse_conv2d.register_autograd(_conv_gradients, setup_context=_remember)


def _whole_tiles(images: Tensor, tile: int) -> np.ndarray:
    """The images as an array whose number is a multiple of a tile; zeros fill the last one."""
    missing = -len(images) % tile
    if missing:
        images = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
    return images.contiguous().numpy()


def _bias(bias: Float[Tensor, " out"] | None, count: int) -> np.ndarray:
    return np.zeros(count, np.float32) if bias is None else bias.numpy()


def _geometry(
    images: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Geometry:
    kernel_, stride_, padding_, image = (
        (int(pair[0]), int(pair[1])) for pair in (kernel, stride, padding, images.shape[2:])
    )
    return Geometry(images.shape[1], kernel_, stride_, padding_, image)
