"""The sparse linear layer, and the operator that it is to PyTorch."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wider.errors import InputError
from wider.native._layers import SparseLayer
from wider.native._operators import (
    IMPLEMENTATIONS,
    Implementation,
    define,
    differentiable_gradients,
    implementation,
    refuse_onnx,
)
from wider.native._runtime import is_available
from wider.native._structure import dense_from
from wider.native.linear import _cpu


class SparseLinear(SparseLayer):
    """A linear layer y = W x + b that stores and computes the non-zeros of W only.

    See `SparseLayer` for arguments and attributes; the weight is (out, in).
    """

    _operator = "sparse_linear"

    def __init__(
        self,
        weight: Float[Tensor, "out in"],
        mask: Bool[Tensor, "out in"],
        bias: Float[Tensor, " out"] | None,
    ) -> None:
        super().__init__(weight, mask, bias)
        self.out_features, self.in_features = weight.shape

    def forward(self, images: Float[Tensor, "... in"]) -> Float[Tensor, "... out"]:
        """The layer's outputs."""
        if images.shape[-1] != self.shape[1]:
            raise InputError(
                f"the input has {images.shape[-1]} features, the layer takes {self.shape[1]}"
            )
        weights = self._operands()
        if not self._computes_natively(images, weights[0]):
            return functional.linear(images, self.dense_weight(), self.bias)
        if images.dim() == 2:
            return sparse_linear(images, *weights)
        out = sparse_linear(images.reshape(-1, self.shape[1]), *weights)
        return out.reshape(*images.shape[:-1], self.shape[0])

    def extra_repr(self) -> str:
        """For print(module)."""
        return f"in_features={self.shape[1]}, out_features={self.shape[0]}, {self._kept()}"


def _sparse_linear(
    images: Tensor, values: Tensor, columns: Tensor, starts: Tensor, bias: Tensor | None
) -> Tensor:
    """images W^T + bias with the non-zeros of W only.

    Args:
        images: (batch, in), float32.
        values: the non-zeros, row by row, in any shape.
        columns: input unit of each, int32.
        starts: first non-zero of each output unit, and their number at the end, int64.
        bias: of each output unit, or None.

    Returns:
        (batch, out).
    """
    forward = implementation("sparse_linear", images).forward
    return forward(images.contiguous(), values.contiguous(), columns, starts, bias)


def _sparse_linear_backward(
    gradient: Tensor,
    images: Tensor,
    values: Tensor,
    columns: Tensor,
    starts: Tensor,
    with_images: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `sparse_linear` by its images (empty unless asked for), values and bias."""
    backward = implementation("sparse_linear", images).backward
    given = gradient.contiguous(), images.contiguous(), values.contiguous()
    return backward(*given, columns, starts, with_images)


def _fake(images, values, columns, starts, bias):
    refuse_onnx()
    return images.new_empty(images.shape[0], len(starts) - 1)


def _fake_backward(gradient, images, values, columns, starts, with_images):
    by_images = images.new_empty(images.shape[0] if with_images else 0, images.shape[1])
    return by_images, torch.empty_like(values), images.new_empty(len(starts) - 1)


def _remember(ctx, inputs, output) -> None:
    images, values, columns, starts, bias = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(images, values, columns, starts)


def _gradients(backward: Callable[..., Any], ctx, gradient: Float[Tensor, "batch out"]):
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


sparse_linear = define(
    _sparse_linear,
    _sparse_linear_backward,
    fakes=(_fake, _fake_backward),
    remember=_remember,
    gradients=_gradients,
)
if is_available():
    IMPLEMENTATIONS["sparse_linear", "cpu"] = Implementation(_cpu.forward, _cpu.backward)
