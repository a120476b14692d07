"""The parametrisation that keeps removed weights at exactly zero."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wider.errors import InputError

# Methods of a tensor that write to it, but for those that change no number.
HARMLESS = {"requires_grad_", "detach_", "share_memory_", "rename_"}
OPERATORS = ["add", "and", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift"]
OPERATORS += ["sub", "truediv", "xor"]
WRITING = {name for name in dir(Tensor) if name.endswith("_") and not name.endswith("__")}
WRITING = WRITING - HARMLESS | {f"__i{name}__" for name in OPERATORS} | {"__setitem__"}


class MaskedWeight(Tensor):
    """A weight as a masked layer computes with it, made anew each time: writes to it raise.

    What is computed from it is a plain tensor.
    """

    __torch_function__: Any = torch._C._disabled_torch_function_impl

    @property
    def data(self) -> Tensor:
        """The same without its history."""
        return self.detach().as_subclass(MaskedWeight)

    @data.setter
    def data(self, _: Tensor) -> None:
        _refuse_to_write(self)


def _refuse_to_write(weight: MaskedWeight, *_: object, **__: object) -> None:
    raise InputError(
        f"this weight of {tuple(weight.shape)} is computed from what a masked layer stores, so "
        "what is written to it would be lost: assign it whole (layer.weight = tensor; the mask is "
        "applied), call layer.reset_parameters(), or start from wider.to_dense(net)"
    )


for _name in WRITING:
    setattr(MaskedWeight, _name, _refuse_to_write)


def is_sharded(tensor: Tensor) -> bool:
    """Whether it is a DTensor, of which each process has a part, as FSDP makes of parameters."""
    return hasattr(tensor, "placements")


def in_shards(whole: Tensor, like: Tensor) -> Tensor:
    """A tensor that every process has whole, in shards where another tensor is in shards."""
    if is_sharded(whole) or not is_sharded(like):
        return whole
    from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415 (takes a second)

    sharded: Any = like
    return distribute_tensor(
        whole.to(like.device), sharded.device_mesh, sharded.placements, src_data_rank=None
    )


class Mask(nn.Module):
    """Puts zeros in the removed places of a weight tensor (masked execution: zeros are stored).

    Used through `torch.nn.utils.parametrize`, so the layer's `weight` is always the masked one,
    whatever is stored in its removed places: an optimiser that mixes entries, as Muon does, may
    leave anything there, even NaN. Removed weights get a gradient of zero and start at zero, hence
    momentum, weight decay and Adam leave them there.

    Attributes:
        mask: True where the weight is kept; a buffer, so it is in the state dict and follows
            `.to(device)`.
    """

    mask: Bool[Tensor, "..."]

    def __init__(self, mask: Bool[Tensor, "..."]) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The weight with its removed entries at zero."""
        masked = torch.where(in_shards(self.mask, weight), weight, 0.0)
        # A compiler sees plain tensors only, and so do torch's function transforms.
        if torch.compiler.is_compiling() or type(masked) is not Tensor:
            return masked
        return masked.as_subclass(MaskedWeight)

    def right_inverse(self, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """What is stored when a weight is assigned: nothing of the removed entries."""
        return torch.where(in_shards(self.mask, weight), weight, 0.0)
