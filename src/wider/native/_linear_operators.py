"""The native linear layer as PyTorch operators, known to autograd and torch.compile."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wider.native import _linear
from wider.native._autocast import under_autocast
from wider.native._eager import with_short_way
from wider.native._linear_plan import structure_for
from wider.native._structure import dense_from
from wider.native._transforms import differentiable_gradients, refuse_onnx


def _sparse_linear(
    images: Tensor, values: Tensor, columns: Tensor, starts: Tensor, bias: Tensor | None
) -> Tensor:
    """images W^T + bias with the non-zeros of W only.

    Args:
        images: (batch, in), float32 on the CPU.
        values: the non-zeros, row by row, in any shape.
        columns: input unit of each, int32.
        starts: first non-zero of each output unit, and their number at the end, int64.
        bias: of each output unit, or None.

    Returns:
        (batch, out).
    """
    images, values = images.contiguous(), values.contiguous()
    if len(images) <= _linear.FEW:
        return _linear.forward_few(images, values, columns, starts, bias)
    structure = structure_for(columns, starts, images.shape[1])
    return _linear.forward(images, values, columns, structure, bias)


def _sparse_linear_backward(
    gradient: Tensor,
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    with_images: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `sparse_linear` by its images (none unless asked for), values and bias."""
    structure = structure_for(columns, starts, images.shape[1])
    given = gradient.contiguous(), images.contiguous(), values.contiguous()
    return _linear.backward(*given, structure, with_images)


# What `torch.library.custom_op` does, without its layers of Python around every call: they cost as
# much as a small layer.
_library = torch.library.Library("wider", "FRAGMENT")
for _function in (_sparse_linear, _sparse_linear_backward):
    _name = _function.__name__.removeprefix("_")
    _library.define(_name + torch.library.infer_schema(_function, mutates_args=()))
    _library.impl(_name, _function, "CPU")
_operator = torch.ops.wider.sparse_linear.default
_backward_operator = torch.ops.wider.sparse_linear_backward.default
_library.impl("sparse_linear", under_autocast(_operator), "AutocastCPU")


@torch.library.register_fake("wider::sparse_linear", lib=_library)
def _(images, values, columns, starts, bias):
    refuse_onnx()
    return images.new_empty(images.shape[0], len(starts) - 1)


@torch.library.register_fake("wider::sparse_linear_backward", lib=_library)
def _(gradient, images, values, columns, starts, with_images):
    by_images = images.new_empty(images.shape[0] if with_images else 0, images.shape[1])
    return by_images, torch.empty_like(values), images.new_empty(len(starts) - 1)


def _remember(ctx, inputs, output) -> None:
    images, values, columns, starts, bias = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(images, values, columns, starts)


def _linear_gradients(backward: Callable[..., Any], ctx, gradient: Float[Tensor, "batch out"]):
    with_images = ctx.needs_input_grad[0]
    if torch.is_grad_enabled():
        return _differentiable(ctx, gradient)
    by_images, by_values, by_bias = backward(gradient, *ctx.saved_tensors, with_images)
    return (
        by_images if with_images else None,
        by_values,
        None,
        None,
        by_bias if ctx.has_bias else None,
    )


def _differentiable(ctx, gradient: Float[Tensor, "batch out"]):
    images, values, columns, starts = ctx.saved_tensors

    def outputs(images: Tensor, values: Tensor) -> Tensor:
        shape = torch.Size([len(starts) - 1, images.shape[1]])
        return functional.linear(images, dense_from(values, columns, starts, shape))

    by_images, by_values = differentiable_gradients(outputs, (images, values), gradient)
    return by_images, by_values, None, None, gradient.sum(0) if ctx.has_bias else None


torch.library.register_autograd(
    "wider::sparse_linear",
    partial(_linear_gradients, _backward_operator),
    setup_context=_remember,
    lib=_library,
)
sparse_linear = with_short_way(
    _operator, _sparse_linear, _remember, partial(_linear_gradients, _sparse_linear_backward)
)
