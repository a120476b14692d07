"""Which layers can become native, and which gain by it."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from wider.native import SparseConv2d, SparseLayer, SparseLinear
from wider.native.cost import Work, native_ratio
from wider.sparsity._matrices import mask_of, parametrizations_of, stored_parameter

KINDS = (nn.Linear, nn.Conv2d)
WORTH = 1.1  # the ratio of times below which a layer becomes native: it takes less memory then
USUAL_BATCH, USUAL_SIDE = 128, 16  # of images that nothing is known of

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


def reason_to_stay(layer: nn.Module, shape: Sequence[int] | None = None) -> str:
    """Why a layer does not become native, in a few words; empty where it does.

    Args:
        layer: masked, or a convolution that keeps all its weights.
        shape: of its inputs; if None, of a usual batch.
    """
    if obstacle := _obstacle(layer):
        return obstacle
    ratio = native_ratio(_work(layer, shape))
    return "" if ratio < WORTH else f"native would take {ratio:.2g} times as long"


def _work(layer: nn.Module, shape: Sequence[int] | None) -> Work:
    mask, weight = mask_of(layer), stored_parameter(layer, "weight")
    num_weights = weight.numel() if mask is None else int(torch.count_nonzero(mask))
    sizes = tuple(weight.shape)
    if not isinstance(layer, nn.Conv2d):
        rows = USUAL_BATCH if shape is None else math.prod(shape[:-1])
        return Work(sizes, num_weights, rows)
    batch = USUAL_BATCH if shape is None or len(shape) < 4 else shape[0]
    image = (USUAL_SIDE, USUAL_SIDE) if shape is None else (shape[-2], shape[-1])
    padding = cast(tuple[int, int], layer.padding)
    stride = (layer.stride[0], layer.stride[1])
    return Work(sizes, num_weights, batch, image, stride, padding)


def _obstacle(layer: nn.Module) -> str:
    kind = parametrize.type_before_parametrizations(layer)
    if kind not in KINDS:
        return f"no native {kind.__name__}"
    if mask_of(layer) is not None and (addition := _addition(layer)):
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
