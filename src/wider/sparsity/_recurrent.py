"""Recurrent layers, which keep a list of their weights for the kernel that runs over time."""

from typing import Any

from torch import nn

from wider.sparsity._matrices import stored_parameter


def read_weights_anew(layer: nn.RNNBase) -> None:
    """Has the layer read its masked weights in each forward, not once and for all.

    Args:
        layer: of which some weights were given a mask.
    """
    _put_stored(layer)
    if _put_masked not in layer._forward_pre_hooks.values():
        layer.register_forward_pre_hook(_put_masked)
        layer.register_forward_hook(_put_stored)


def read_weights_once(layer: nn.RNNBase) -> None:
    """Has the layer keep its weights, as it does without masks.

    Args:
        layer: that was told to read them anew.
    """
    for hooks in (layer._forward_pre_hooks, layer._forward_hooks):
        for key, hook in list(hooks.items()):
            if hook in (_put_masked, _put_stored):
                del hooks[key]
    _put_stored(layer)


def _put_masked(layer: nn.RNNBase, *_: Any) -> None:
    names: Any = layer._flat_weights_names
    layer._flat_weights = [getattr(layer, name) for name in names]


def _put_stored(layer: nn.RNNBase, *_: Any) -> None:
    # Tensors with a history cannot be copied with the layer.
    names: Any = layer._flat_weights_names
    layer._flat_weights = [stored_parameter(layer, name) for name in names]
