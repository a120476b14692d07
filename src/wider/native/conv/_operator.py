"""Convolutions in compiled code, and the operator that they are to PyTorch."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor, nn
from torch.nn import functional

from wider.errors import InputError
from wider.native._layers import SparseLayer
from wider.native._operators import (
    IMPLEMENTATIONS,
    Implementation,
    define,
    differentiable_gradients,
    implementation,
    is_implemented,
    is_transformed,
    refuse_onnx,
)
from wider.native._runtime import is_available
from wider.native._structure import dense_from
from wider.native.conv import _cpu


class SparseConv2d(SparseLayer):
    """A 2-d convolution that stores and computes the non-zeros of its weight only.

    See `SparseLayer` for the other arguments and attributes; the weight is (out, in, rows,
    columns).

    Args:
        stride: along rows, columns.
        padding: zeros before and after rows, columns.

    Raises:
        InputError: the weight has not four dimensions.
    """

    _operator = "sparse_conv2d"
    stride: tuple[int, int]
    padding: tuple[int, int]

    def __init__(
        self,
        weight: Float[Tensor, "out in rows columns"],
        mask: Bool[Tensor, "out in rows columns"],
        bias: Float[Tensor, " out"] | None,
        *,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
    ) -> None:
        super().__init__(weight, mask, bias)
        if weight.dim() != 4:
            raise InputError(f"the weight has {weight.dim()} dimensions; a 2-d convolution's has 4")
        # All attributes of the layer that it stands for.
        out_channels, in_channels, rows, columns = weight.shape
        steps, zeros = (stride[0], stride[1]), (padding[0], padding[1])
        plain = nn.Conv2d(in_channels, out_channels, (rows, columns), steps, zeros, device="meta")
        own = vars(self)
        own.update({name: value for name, value in vars(plain).items() if name not in own})

    def forward(
        self, images: Float[Tensor, "*batch in rows columns"]
    ) -> Float[Tensor, "*batch out out_rows out_columns"]:
        """The layer's outputs."""
        if images.dim() == 3:
            return self.forward(images.unsqueeze(0)).squeeze(0)
        if images.dim() != 4 or images.shape[1] != self.shape[1]:
            raise InputError(
                f"the input is {tuple(images.shape)}; the layer takes (batch, {self.shape[1]}, "
                f"rows, columns) or ({self.shape[1]}, rows, columns)"
            )
        values, columns, starts, bias = self._operands()
        if not self._computes_natively(images, values):
            return functional.conv2d(
                images, self.dense_weight(), self.bias, self.stride, self.padding
            )
        kernel = self.shape[2:]
        return sparse_conv2d(
            images, values, columns, starts, bias, kernel, self.stride, self.padding
        )

    def extra_repr(self) -> str:
        """For print(module)."""
        out_channels, in_channels, *kernel = self.shape
        return (
            f"{in_channels}, {out_channels}, kernel_size={tuple(kernel)}, stride={self.stride}, "
            f"padding={self.padding}, {self._kept()}"
        )


class NativeConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` in compiled code.

    Of few channels, as at the start of a net, or with a kernel of one place and a stride, PyTorch's
    own takes up to three times as long.
    """

    def forward(
        self,
        input: Float[Tensor, "batch in rows columns"],  # noqa: A002
    ) -> Float[Tensor, "batch out out_rows out_columns"]:
        """The outputs."""
        if not self._computes_natively(input):
            return super().forward(input)
        weight, stride, padding = self.weight, self.stride, self.padding
        # A compiler warns of caches, and keeps what it computes once by itself.
        places = _all_places if torch.compiler.is_compiling() else _remembered_places
        structure = places(len(weight), weight[0].numel(), input.device)
        return sparse_conv2d(
            input, weight.reshape(-1, 1), *structure, self.bias, weight.shape[2:], stride, padding
        )

    def _computes_natively(self, images: Tensor) -> bool:
        plain = images.dtype == torch.float32 == self.weight.dtype
        plain = plain and is_implemented("sparse_conv2d", images)
        # Of images in PyTorch's other memory format, its own are faster.
        fits = images.dim() == 4 and images.shape[1] == self.in_channels and images.is_contiguous()
        known = not torch.is_autocast_enabled("cpu") and not is_transformed()
        return plain and fits and known


def _all_places(
    num_outputs: int, num_places: int, device: torch.device
) -> tuple[Int32[Tensor, " weights"], Int64[Tensor, " out_plus_one"]]:
    """Columns and starts of a layer, see `SparseLayer`, that keeps all its weights."""
    columns = torch.arange(num_places, dtype=torch.int32, device=device).repeat(num_outputs)
    return columns, torch.arange(num_outputs + 1, device=device) * num_places


@lru_cache(maxsize=64)
def _remembered_places(
    num_outputs: int, num_places: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(mode=False):  # for training to use, too
        return _all_places(num_outputs, num_places, device)


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
        images: (batch, channels, rows, columns), float32.
        values: the non-zeros, by output channel, in any shape.
        columns: place of each in its output channel's flattened weights, ascending, int32.
        starts: first non-zero of each output channel, and their number at the end, int64.
        bias: of each output channel, or None.
        kernel: rows, columns.
        stride: along rows, columns.
        padding: zeros before and after rows, columns.

    Returns:
        (batch, output channels, rows, columns).
    """
    forward = implementation("sparse_conv2d", images).forward
    weights = values.contiguous(), columns, starts, bias
    return forward(images.contiguous(), *weights, kernel, stride, padding)


def _fake(images, values, columns, starts, bias, kernel, stride, padding):
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
    """The gradients of `sparse_conv2d` by its images (empty unless asked for) and its values."""
    backward = implementation("sparse_conv2d", images).backward
    given = gradient.contiguous(), images.contiguous(), values.contiguous()
    return backward(*given, columns, starts, kernel, stride, padding, with_images)


def _fake_backward(gradient, images, values, columns, starts, kernel, stride, padding, with_images):
    by_images = images.new_empty(images.shape[0] if with_images else 0, *images.shape[1:])
    return by_images, torch.empty_like(values)


def _remember(ctx, inputs, output) -> None:
    images, values, columns, starts, bias, *ctx.shape_of_the_kernel = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(images, values, columns, starts)


def _gradients(
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


sparse_conv2d = define(
    _sparse_conv2d,
    _sparse_conv2d_backward,
    fakes=(_fake, _fake_backward),
    remember=_remember,
    gradients=_gradients,
)
if is_available():
    IMPLEMENTATIONS["sparse_conv2d", "cpu"] = Implementation(_cpu.forward, _cpu.backward)
