"""The native convolution as PyTorch operators, known to autograd and torch.compile."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wider.native import _conv
from wider.native._autocast import under_autocast
from wider.native._conv_layouts import Geometry
from wider.native._eager import with_short_way
from wider.native._structure import dense_from
from wider.native._transforms import differentiable_gradients, refuse_onnx


def _sparse_conv2d(
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
        values: the non-zeros, by output channel, in any shape.
        columns: place of each in its output channel's flattened weights, int32.
        starts: first non-zero of each output channel, and their number at the end, int64.
        bias: of each output channel, or None.
        kernel: rows, columns.
        stride: along rows, columns.
        padding: zeros before and after rows, columns.

    Returns:
        (batch, output channels, rows, columns).
    """
    geometry = _geometry(images, kernel, stride, padding)
    weights = values.contiguous(), columns, starts
    return _conv.forward(images.contiguous(), *weights, bias, geometry)


_operator = torch.library.custom_op("wider::sparse_conv2d", _sparse_conv2d, mutates_args=())
_library = torch.library.Library("wider", "FRAGMENT")
_library.impl("sparse_conv2d", under_autocast(_operator), "AutocastCPU")


@_operator.register_fake
def _(images, values, columns, starts, bias, kernel, stride, padding):
    refuse_onnx()
    # Of numbers that may be symbols: an export leaves the batch, or the images' size, open.
    sides = zip(images.shape[2:], kernel, stride, padding, strict=True)
    output = [(side + 2 * pad - taps) // step + 1 for side, taps, step, pad in sides]
    return images.new_empty(images.shape[0], len(starts) - 1, *output)


def _sparse_conv2d_backward(
    gradient: Tensor,
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    with_images: bool,
) -> tuple[Tensor, Tensor]:
    """The gradients of `sparse_conv2d` by its images (none unless asked for) and its values."""
    given = gradient.contiguous(), images.contiguous(), values.contiguous()
    geometry = _geometry(images, kernel, stride, padding)
    return _conv.backward(*given, columns, starts, geometry, with_images)


_backward_operator = torch.library.custom_op(
    "wider::sparse_conv2d_backward", _sparse_conv2d_backward, mutates_args=()
)


@_backward_operator.register_fake
def _(gradient, images, values, columns, starts, kernel, stride, padding, with_images):
    by_images = images.new_empty(images.shape[0] if with_images else 0, *images.shape[1:])
    return by_images, torch.empty_like(values)


def _remember(ctx, inputs, output) -> None:
    images, values, columns, starts, bias, *ctx.shape_of_the_kernel = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(images, values, columns, starts)


def _conv_gradients(
    backward: Callable[..., Any], ctx, gradient: Float[Tensor, "batch out rows columns"]
):
    if torch.is_grad_enabled():
        return _differentiable(ctx, gradient)
    with_images = ctx.needs_input_grad[0]
    by_images, by_values = backward(
        gradient, *ctx.saved_tensors, *ctx.shape_of_the_kernel, with_images
    )
    by_bias = gradient.sum((0, 2, 3)) if ctx.has_bias else None
    return by_images if with_images else None, by_values, None, None, by_bias, None, None, None


def _differentiable(ctx, gradient: Float[Tensor, "batch out rows columns"]):
    images, values, columns, starts = ctx.saved_tensors
    kernel, stride, padding = ctx.shape_of_the_kernel

    def outputs(images: Tensor, values: Tensor) -> Tensor:
        shape = torch.Size([len(starts) - 1, images.shape[1], *kernel])
        weight = dense_from(values, columns, starts, shape)
        return functional.conv2d(images, weight, None, stride, padding)

    by_images, by_values = differentiable_gradients(outputs, (images, values), gradient)
    by_bias = gradient.sum((0, 2, 3)) if ctx.has_bias else None
    return by_images, by_values, None, None, by_bias, None, None, None


_operator.register_autograd(partial(_conv_gradients, _backward_operator), setup_context=_remember)
sparse_conv2d = with_short_way(
    _operator, _sparse_conv2d, _remember, partial(_conv_gradients, _sparse_conv2d_backward)
)


def _geometry(
    images: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Geometry:
    kernel_, stride_, padding_, image = (
        (int(pair[0]), int(pair[1])) for pair in (kernel, stride, padding, images.shape[2:])
    )
    return Geometry(images.shape[1], kernel_, stride_, padding_, image)
