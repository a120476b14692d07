"""Exact numbers of weights."""

from typing import NamedTuple

import torch
from torch import nn

from wider.errors import InputError
from wider.native import SparseLayer
from wider.sparsity._layers import stored_weight, weight_layers
from wider.sparsity._mask import mask_of


def count_weights(module: nn.Module) -> int:
    """The exact number of weights that are trainable and not masked.

    Weights are the entries of the weight tensors of linear and (transposed) convolutional layers;
    biases and normalisation parameters are not counted. Tied weights count once. Masked
    and native layers are counted alike.

    Args:
        module: any module.

    Returns:
        The number of weights.
    """
    return sum(layer.kept for layer in _counted(module).values())


def connectivity(module: nn.Module) -> dict[str, float]:
    """The part of its weights that each layer keeps.

    Args:
        module: any module with at least one weight layer.

    Returns:
        {layer name: kept weights / weights of the dense layer}, with the whole net's under "".

    Raises:
        InputError: the net has no weight layer.
    """
    layers = _counted(module)
    if not layers:
        raise InputError("the net has no trainable linear or convolutional layer to speak of")
    kept = sum(layer.kept for layer in layers.values())
    size = sum(layer.size for layer in layers.values())
    return {name: layer.kept / layer.size for name, layer in layers.items()} | {"": kept / size}


class _Counted(NamedTuple):
    kept: int
    size: int


def _counted(module: nn.Module) -> dict[str, _Counted]:
    """The layers with trainable weights in the order of the module; tied ones once."""
    masked, names = weight_layers(module), {}
    seen: set[int] = set()
    for name, part in module.named_modules():
        if isinstance(part, SparseLayer) and part.values.requires_grad:
            names[name] = _Counted(part.num_weights, part.shape.numel())
        elif name in masked and id(stored_weight(masked[name])) not in seen:
            seen.add(id(stored_weight(masked[name])))
            mask, size = mask_of(part), masked[name].weight.numel()
            names[name] = _Counted(size if mask is None else int(torch.count_nonzero(mask)), size)
    return names
