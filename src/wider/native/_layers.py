"""What layers have in common that store only their non-zero weights."""

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor, nn

from wider.errors import InputError
from wider.native._operators import is_implemented, is_transformed
from wider.native._runtime import NO_KERNELS
from wider.native._structure import dense_from, places_of, structure_of

MASK = "parametrizations.weight.0.mask"
WEIGHTS = ("weight", "parametrizations.weight.original")

# Methods of a tensor that write to it, but for those that change no number.
HARMLESS = {"requires_grad_", "detach_", "share_memory_", "rename_"}
OPERATORS = ["add", "and", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift"]
OPERATORS += ["sub", "truediv", "xor"]
WRITING = {name for name in dir(Tensor) if name.endswith("_") and not name.endswith("__")}
WRITING = WRITING - HARMLESS | {f"__i{name}__" for name in OPERATORS} | {"__setitem__"}


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

    _operator: ClassVar[str]
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
        if not is_implemented(self._operator, images):
            if images.is_cpu:
                warnings.warn(
                    f"{type(self).__name__} computes through a dense weight, as slowly as a masked "
                    f"layer: {NO_KERNELS}",
                    SlowLayerWarning,
                    stacklevel=5,
                )
            return False
        # Other kinds of numbers are computed through the dense weight: exact, and the way to check
        # gradients in double precision.
        if values.dtype != torch.float32:
            return False
        return (images.dtype == torch.float32 or _is_cast(images)) and not is_transformed()

    def _kept(self) -> str:
        return f"{self.num_weights:,} of {self.shape.numel():,} weights"

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
        own = _native_state(self, state_dict, prefix, error_msgs)
        super()._load_from_state_dict(
            own, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def _is_cast(images: Tensor) -> bool:
    """Whether autocast, under which the operators take other numbers, changes images at all."""
    return torch.is_autocast_enabled("cpu") and images.dtype != torch.float64


def _native_state(
    layer: SparseLayer, state: Mapping[str, Any], prefix: str, errors: list[str]
) -> dict[str, Any]:
    """A state as the layer has it itself.

    Args:
        layer: that is to load it.
        state: with the layer's own entries; or with a weight, dense or masked, of which the entries
            are taken that the layer keeps.
        prefix: of the layer's keys.
        errors: what does not fit is added here, as `load_state_dict` wants it.

    Returns:
        The state, with values, columns and starts in place of a weight and its mask.
    """
    own = dict(state)
    if (values := own.get(f"{prefix}values")) is not None:
        if values.dim() == 1:  # as they were stored before they became a column
            own[f"{prefix}values"] = values.unsqueeze(1)
        return own
    found = [own.pop(prefix + name) for name in WEIGHTS if prefix + name in own]
    if not found:
        return own
    mask = own.pop(prefix + MASK, None)
    kept = layer.values.detach()
    if problem := _misfit(layer, found[0], mask):
        errors.append(f"native layer {prefix.removesuffix('.')!r}: {problem}")
    else:
        kept = layer.gathered(found[0].to(kept.device))
    own |= {f"{prefix}values": kept}
    own |= {f"{prefix}{name}": getattr(layer, name) for name in ("columns", "starts")}
    return own


def _misfit(layer: SparseLayer, weight: Tensor, mask: Tensor | None) -> str:
    if weight.shape != layer.shape:
        return f"the state's weight is {tuple(weight.shape)}, the layer's {tuple(layer.shape)}"
    own = layer.mask()
    if mask is not None and not torch.equal(mask.to(own.device), own):
        return (
            "the state's mask keeps other weights than the layer: call to_masked on the net, load "
            "the state, and call to_native"
        )
    return ""


def computed_weight(weight: Tensor) -> Tensor:
    """The same weight, but that writes to it raise wherever PyTorch allows it.

    Args:
        weight: made for this one use.
    """
    # A compiler sees plain tensors only, and so do torch's function transforms.
    if torch.compiler.is_compiling() or type(weight) is not Tensor:
        return weight
    return weight.as_subclass(ComputedWeight)


class ComputedWeight(Tensor):
    """A weight that a sparse layer makes anew each time: writes to it raise.

    What is computed from it is a plain tensor, so a write through a view of it
    (`layer.weight.view(-1).zero_()`, `layer.weight.detach().add_(1)`) cannot be told and is lost:
    write `layer.weight = tensor`.
    """

    __torch_function__: Any = torch._C._disabled_torch_function_impl

    @property
    def data(self) -> Tensor:
        """The same without its history."""
        return self.detach().as_subclass(ComputedWeight)

    @data.setter
    def data(self, _: Tensor) -> None:
        _refuse_to_write(self)


def _refuse_to_write(weight: ComputedWeight, *_: object, **__: object) -> None:
    raise InputError(
        f"this weight of {tuple(weight.shape)} is computed from what a sparse layer stores, so "
        "what is written to it would be lost: assign it whole (layer.weight = tensor, of a masked "
        "layer), call layer.reset_parameters(), or start from wider.to_dense(net)"
    )


for _name in WRITING:
    setattr(ComputedWeight, _name, _refuse_to_write)
