"""Exact numbers of weights."""

from torch import nn

from wider.errors import InputError
from wider.sparsity._layers import WeightLayer, stored_weight, weight_layers
from wider.sparsity._mask import mask_of


def count_weights(module: nn.Module) -> int:
    """The exact number of weights that are trainable and not masked.

    Weights are the entries of the weight tensors of linear and (transposed) convolutional layers;
    biases and normalisation parameters are not counted. Tied weights count once.

    Args:
        module: any module.

    Returns:
        The number of weights.
    """
    return sum(_kept(layer) for layer in _untied(module).values())


def connectivity(module: nn.Module) -> dict[str, float]:
    """The part of its weights that each layer keeps.

    Args:
        module: any module with at least one weight layer.

    Returns:
        {layer name: kept weights / weights of the dense layer}, with the whole net's under "".

    Raises:
        InputError: the net has no weight layer.
    """
    layers = _untied(module)
    if not layers:
        raise InputError("the net has no trainable linear or convolutional layer to speak of")
    total = sum(layer.weight.numel() for layer in layers.values())
    per_layer = {name: _kept(layer) / layer.weight.numel() for name, layer in layers.items()}
    return {**per_layer, "": count_weights(module) / total}


def _kept(layer: WeightLayer) -> int:
    mask = mask_of(layer)
    return layer.weight.numel() if mask is None else int(mask.sum())


def _untied(module: nn.Module) -> dict[str, WeightLayer]:
    by_parameter: dict[int, tuple[str, WeightLayer]] = {}
    for name, layer in weight_layers(module).items():
        by_parameter.setdefault(id(stored_weight(layer)), (name, layer))
    return dict(by_parameter.values())
