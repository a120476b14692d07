"""The parametrisation that keeps removed weights at exactly zero, and what stands behind it."""

from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wider.native import computed_weight


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
        return computed_weight(torch.where(in_shards(self.mask, weight), weight, 0.0))

    def right_inverse(self, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """What is stored when a weight is assigned: nothing of the removed entries."""
        return torch.where(in_shards(self.mask, weight), weight, 0.0)


def stored_parameter(module: nn.Module, parameter: str) -> nn.Parameter:
    """The (first) parameter behind an attribute, before any parametrisation."""
    if parametrize.is_parametrized(module, parameter):
        return next(parametrizations_of(module, parameter).parameters())
    return cast(nn.Parameter, getattr(module, parameter))


def parametrizations_of(
    module: nn.Module, parameter: str = "weight"
) -> parametrize.ParametrizationList:
    """The parametrisations of a parametrised tensor."""
    steps = cast(nn.ModuleDict, module.parametrizations)[parameter]
    return cast(parametrize.ParametrizationList, steps)


def mask_of(module: nn.Module, parameter: str = "weight") -> Bool[Tensor, "..."] | None:
    """The mask on a parameter.

    Args:
        module: any module.
        parameter: of it.

    Returns:
        The mask, shaped like the parameter, or None where it is not sparse.
    """
    if not parametrize.is_parametrized(module, parameter):
        return None
    steps = (step for step in parametrizations_of(module, parameter) if isinstance(step, Mask))
    return next((step.mask for step in steps), None)


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
