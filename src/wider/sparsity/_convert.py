"""From masked to native execution and back."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import nn
from torch.nn.utils import skip_init

from wider.inputs import Inputs
from wider.native import (
    BatchNormReLU,
    NativeBatchNorm2d,
    NativeBatchNormReLU,
    SparseConv2d,
    SparseLayer,
)
from wider.sparsity._layer_times import layer_times, print_table
from wider.sparsity._mask import Mask
from wider.sparsity._masked import put_mask
from wider.sparsity._matrices import mask_of
from wider.sparsity._native import native_layer, reason_to_stay

AnyModule = TypeVar("AnyModule", bound=nn.Module)

NATIVE_NORMS = {nn.BatchNorm2d: NativeBatchNorm2d, BatchNormReLU: NativeBatchNormReLU}
PLAIN_NORMS = {native: plain for plain, native in NATIVE_NORMS.items()}


def to_native(module: AnyModule, *, inputs: Inputs | None = None) -> AnyModule:
    """Replaces the sparse layers of a net by layers that store and compute the non-zeros only.

    Done in place; outputs stay the same to float32 rounding. Linear and 2-d convolutional layers
    of a connectivity up to their `BREAK_EVEN` are replaced. Others stay as they are: denser ones,
    which PyTorch computes faster, convolutions with groups, dilation or another padding than
    zeros, and subclasses, whose forward may do more. A replaced layer keeps its name and its bias;
    its parameter `parametrizations.weight.original` becomes `values`, so make the optimiser
    afterwards. BatchNorm layers (`nn.BatchNorm2d`, `BatchNormReLU`) keep all parameters and only
    compute natively from then on.

    Args:
        module: a net that was sparsified.
        inputs: a batch such as it will be trained on: a tensor, a tuple (positional arguments) or a
            mapping (keyword arguments). If given, each sparse layer is timed, masked and native,
            and a table of them is printed (see `layer_times`).

    Returns:
        The same module, or its replacement where it is itself a sparse layer.

    Raises:
        InputError: the net does not take such inputs.
    """
    if inputs is not None:
        print_table(layer_times(module, inputs))
    return cast(AnyModule, _replaced(module, _native_layer))


def has_native_form(module: nn.Module) -> bool:
    """Whether `to_native` would make any part of a net compute natively."""
    return any(
        type(part) in NATIVE_NORMS or (mask_of(part) is not None and not reason_to_stay(part))
        for part in module.modules()
    )


def to_masked(module: AnyModule) -> AnyModule:
    """The inverse of `to_native`: every native layer becomes a masked one, in place.

    Args:
        module: any net.

    Returns:
        The same module, or its replacement where it is itself a native layer.
    """
    return cast(AnyModule, _replaced(module, _masked_layer))


def _replaced(module: nn.Module, replacement: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    if (new := replacement(module)) is not None:
        return new
    new_layers: dict[nn.Module, nn.Module | None] = {}
    for name, layer in list(module.named_modules(remove_duplicate=False)):
        if layer not in new_layers:  # a layer under two names becomes one layer under two names
            new_layers[layer] = replacement(layer)
        if name and (new := new_layers[layer]) is not None:
            module.set_submodule(name, new)
    return module


def _native_layer(layer: nn.Module) -> nn.Module | None:
    if type(layer) in NATIVE_NORMS:
        return _as_class(layer, NATIVE_NORMS[type(layer)])
    if mask_of(layer) is None or reason_to_stay(layer):
        return None
    native = native_layer(layer)
    return None if native is None else native.train(layer.training)


def _as_class(layer: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """The layer itself, which from now on computes as its other class does."""
    layer.__class__ = kind  # parameters, buffers and hooks stay, as in torch's parametrize
    return layer


def _masked_layer(layer: nn.Module) -> nn.Module | None:
    if type(layer) in PLAIN_NORMS:
        return _as_class(layer, PLAIN_NORMS[type(layer)])
    if not isinstance(layer, SparseLayer):
        return None
    options: dict[str, Any] = {
        "bias": layer.bias is not None,
        "device": layer.values.device,
        "dtype": layer.values.dtype,
    }
    if isinstance(layer, SparseConv2d):
        out_channels, in_channels, *kernel = layer.shape
        options |= {"stride": layer.stride, "padding": layer.padding}
        made = skip_init(nn.Conv2d, in_channels, out_channels, tuple(kernel), **options)
    else:
        made = skip_init(nn.Linear, layer.shape[1], layer.shape[0], **options)
    masked = cast(nn.Linear | nn.Conv2d, made)
    with torch.no_grad():
        masked.weight.copy_(layer.dense_weight())
        if layer.bias is not None and masked.bias is not None:
            masked.bias.copy_(layer.bias)
    put_mask(masked, "weight", Mask(layer.mask()))
    return masked.train(layer.training)
