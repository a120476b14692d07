"""The state of dense and masked layers as that of native ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from wider.native._layers import SparseLayer

MASK = "parametrizations.weight.0.mask"
WEIGHTS = ("weight", "parametrizations.weight.original")


def native_state(
    layer: "SparseLayer", state: Mapping[str, Any], prefix: str, errors: list[str]
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


def _misfit(layer: "SparseLayer", weight: torch.Tensor, mask: torch.Tensor | None) -> str:
    if weight.shape != layer.shape:
        return f"the state's weight is {tuple(weight.shape)}, the layer's {tuple(layer.shape)}"
    own = layer.mask()
    if mask is not None and not torch.equal(mask.to(own.device), own):
        return (
            "the state's mask keeps other weights than the layer: call to_masked on the net, load "
            "the state, and call to_native"
        )
    return ""
