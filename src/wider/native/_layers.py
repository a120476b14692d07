"""Layers that store only their non-zero weights."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor, nn
from torch.nn import functional

from wider.errors import InputError
from wider.native._computed_weight import computed_weight
from wider.native._conv_operators import sparse_conv2d
from wider.native._library import NO_KERNELS, is_available
from wider.native._linear_operators import sparse_linear
from wider.native._state import native_state
from wider.native._structure import dense_from, places_of, structure_of
from wider.native._transforms import is_transformed


class SlowLayerWarning(UserWarning):
    """A native layer computes through a dense weight; the message says why."""


class SparseLayer(nn.Module):
    """What native layers have in common: values as the parameter, their places as buffers.

    Code that asks for a layer's `weight` gets it. `load_state_dict` takes the state of a dense or
    masked layer, too. Under autocast on the CPU they compute in float32 and round the outputs to
    the type that autocast gives. Transforms of `torch.func`, forward-mode differentiation and
    gradients that are differentiated themselves go through the dense weight: exact, and as slow as
    a masked layer. ONNX has no such operators: call `to_masked` before an export to it.

    Attributes:
        values: the non-zero weights, by output unit or channel, as a column: tools that treat
            weights by their two dimensions, such as for weight decay, take it for one. Gradients
            and the optimiser's state have the same shape.
        columns: the place of each in its output's flattened weights.
        starts: the first non-zero of each output, and their number at the end.
        bias: one per output, or None.
        shape: of the dense weight.

    Args:
        weight: the dense weight, of which only the kept entries are read.
        mask: True where the weight is kept.
        bias: one per output, or None.

    Raises:
        InputError: weight and mask differ in shape.
    """

    columns: Int32[Tensor, " nonzeros"]
    starts: Int64[Tensor, " out_plus_one"]
    bias: nn.Parameter | None

    def __init__(
        self,
        weight: Float[Tensor, "out ..."],
        mask: Bool[Tensor, "out ..."],
        bias: Float[Tensor, " out"] | None,
    ) -> None:
        super().__init__()
        if weight.shape != mask.shape:
            raise InputError(
                f"the weight is {tuple(weight.shape)} and its mask {tuple(mask.shape)}: they must "
                "have one shape"
            )
        columns, starts = structure_of(mask)
        self.shape = weight.shape
        self.register_buffer("columns", columns.to(weight.device))
        self.register_buffer("starts", starts.to(weight.device))
        self.values = nn.Parameter(self.gathered(weight.detach()))
        own_bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.register_parameter("bias", own_bias)

    @property
    def num_weights(self) -> int:
        """How many weights are stored, all of them."""
        return self.values.numel()

    @property
    def weight(self) -> Float[Tensor, "out ..."]:
        """As `dense_weight`; made anew at each read, so writing into it raises."""
        return computed_weight(self.dense_weight())

    def dense_weight(self) -> Float[Tensor, "out ..."]:
        """The weight with its zeros; differentiable by `values`."""
        return self.spread(self.values)

    def spread(self, numbers: Float[Tensor, "nonzeros 1"]) -> Float[Tensor, "out ..."]:
        """One number for each non-zero, at its place in the dense weight; zeros elsewhere."""
        return dense_from(numbers, self.columns, self.starts, self.shape)

    def gathered(self, dense: Float[Tensor, "out ..."]) -> Float[Tensor, "nonzeros 1"]:
        """The inverse of `spread`: the numbers at the places of the non-zeros."""
        return dense.flatten(1)[places_of(self.columns, self.starts)].unsqueeze(1)

    def mask(self) -> Bool[Tensor, "out ..."]:
        """True where a weight is kept."""
        flat = torch.zeros(self.shape, dtype=torch.bool, device=self.columns.device).flatten(1)
        flat[places_of(self.columns, self.starts)] = True
        return flat.reshape(self.shape)

    def _operands(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Values, columns, starts and bias."""
        # Not as attributes where they are plain parameters: modules look those up so slowly that it
        # takes as long as a small layer computes.
        own, buffers = self._parameters, self._buffers
        if "values" in own and "bias" in own:
            return own["values"], buffers["columns"], buffers["starts"], own["bias"]  # pyright: ignore[reportReturnType]
        return self.values, self.columns, self.starts, self.bias

    def _computes_natively(self, images: Tensor, values: Tensor) -> bool:
        if not is_available():
            warnings.warn(
                f"{type(self).__name__} computes through a dense weight, as slowly as a masked "
                f"layer: {NO_KERNELS}",
                SlowLayerWarning,
                stacklevel=5,
            )
            return False
        # Other kinds of numbers and devices are computed through the dense weight: exact, and the
        # way to check gradients in double precision.
        if not images.is_cpu or values.dtype != torch.float32:
            return False
        return (images.dtype == torch.float32 or _is_cast(images)) and not is_transformed()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        own = native_state(self, state_dict, prefix, error_msgs)
        super()._load_from_state_dict(
            own, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class SparseLinear(SparseLayer):
    """A linear layer y = W x + b that stores and computes the non-zeros of W only.

    See `SparseLayer` for arguments and attributes; the weight is (out, in).
    """

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
        return f"in_features={self.shape[1]}, out_features={self.shape[0]}, {_kept(self)}"


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
            f"padding={self.padding}, {_kept(self)}"
        )


def _kept(layer: SparseLayer) -> str:
    return f"{layer.num_weights:,} of {layer.shape.numel():,} weights"


def _is_cast(images: Tensor) -> bool:
    """Whether autocast, under which the operators take other numbers, changes images at all."""
    return torch.is_autocast_enabled("cpu") and images.dtype != torch.float64
