"""The parametrisation that keeps removed weights at exactly zero."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


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
        return torch.where(self.mask, weight, 0.0)

    def right_inverse(self, weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """What is stored when a weight is assigned: nothing of the removed entries."""
        return torch.where(self.mask, weight, 0.0)
