"""Which layers can become native, and which gain by it."""

from typing import cast

from torch import nn
from torch.nn.utils import parametrize

from wider.native import SparseConv2d, SparseLayer, SparseLinear
from wider.sparsity._matrices import mask_of, parametrizations_of, stored_parameter

BREAK_EVEN = {nn.Linear: 0.4, nn.Conv2d: 0.5}
"""The connectivity above which a layer is faster dense, zeros and all: forward and backward of 128
images on one thread of a 2.6 GHz Xeon with AVX-512. `wider bench linear convolution` measures it;
it varies with the shape, from 0.3 (1x1 convolutions) to above 0.6."""

NATIVE_NAMES = ("values", "columns", "starts", "shape", "mask", "spread", "gathered")
"""Attributes that a native layer has and the layer that it stands for has not."""


def native_layer(layer: nn.Module) -> SparseLayer | None:
    """A native layer that computes the same, or None where there is no such."""
    mask = mask_of(layer)
    if mask is None or _obstacle(layer):
        return None
    if isinstance(layer, nn.Conv2d):
        padding = cast(tuple[int, int], layer.padding)
        return SparseConv2d(layer.weight, mask, layer.bias, stride=layer.stride, padding=padding)
    assert isinstance(layer, nn.Linear)
    return SparseLinear(layer.weight, mask, layer.bias)


def reason_to_stay(layer: nn.Module) -> str:
    """Why a masked layer does not become native, in a few words; empty where it does."""
    if obstacle := _obstacle(layer):
        return obstacle
    mask = mask_of(layer)
    assert mask is not None
    break_even = BREAK_EVEN[parametrize.type_before_parametrizations(layer)]
    above = mask.sum() > break_even * mask.numel()
    return f"connectivity above {break_even}" if above else ""


def _obstacle(layer: nn.Module) -> str:
    kind = parametrize.type_before_parametrizations(layer)
    if kind not in BREAK_EVEN:
        return f"no native {kind.__name__}"
    if addition := _addition(layer):
        return addition
    if isinstance(layer, nn.Conv2d):
        plain = {
            "groups": layer.groups == 1,
            "dilation": tuple(layer.dilation) == (1, 1),
            f"padding mode {layer.padding_mode}": layer.padding_mode == "zeros",
            "padding given by name": not isinstance(layer.padding, str),
        }
        return next((name for name, holds in plain.items() if not holds), "")
    return ""


def _addition(layer: nn.Module) -> str:
    """What was put on a layer that a native one could not do."""
    if len(parametrizations_of(layer)) > 1:
        return "a second parametrisation"
    for name in cast(nn.ModuleDict, layer.parametrizations):
        if name != "weight":
            return f"a parametrised {name}"
    if layer.bias is not None and "bias" not in dict(layer.named_parameters(recurse=False)):
        return "a bias that is recomputed"
    stored = stored_parameter(layer, "weight")
    if stored._backward_hooks or stored._post_accumulate_grad_hooks:
        return "a hook on its weight"
    taken = (name for name in NATIVE_NAMES if hasattr(layer, name))
    if name := next(taken, ""):
        return f"an attribute called {name}"
    return "a forward of its own" if "forward" in vars(layer) else ""
