"""The layers whose weights are counted: linear, convolutional, transposed convolutional."""

from typing import cast

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from wider.errors import InputError

WeightLayer = (
    nn.Linear
    | nn.Conv1d
    | nn.Conv2d
    | nn.Conv3d
    | nn.ConvTranspose1d
    | nn.ConvTranspose2d
    | nn.ConvTranspose3d
)


def weight_layers(module: nn.Module) -> dict[str, WeightLayer]:
    """The layers of a net that hold trainable weights.

    Args:
        module: any module.

    Returns:
        {qualified name: layer} in the order of the module. A layer that is reached under several
        names is there once, and frozen layers (`requires_grad=False`) are not.

    Raises:
        InputError: a lazy layer that does not know its shape yet, or a weight that is recomputed
            by a hook.
    """
    found = {name: part for name, part in module.named_modules() if isinstance(part, WeightLayer)}
    for name, layer in found.items():
        if is_lazy(stored_weight(layer)):
            raise InputError(
                f"layer {name!r} does not know its shape yet: run one batch through the net first"
            )
        if not isinstance(stored_weight(layer), nn.Parameter):
            raise InputError(
                f"the weight of layer {name!r} is recomputed by a hook (weight_norm, "
                "spectral_norm, prune): use torch.nn.utils.parametrizations, or remove the hook"
            )
    return {name: layer for name, layer in found.items() if stored_weight(layer).requires_grad}


def stored_weight(layer: WeightLayer) -> Tensor:
    """The (first) parameter behind a layer's weight, before any parametrisation."""
    if parametrize.is_parametrized(layer, "weight"):
        return next(parametrizations_of(layer).parameters())
    return layer.weight


def parametrizations_of(layer: nn.Module) -> parametrize.ParametrizationList:
    """The parametrisations of a parametrised layer's weight."""
    steps = cast(nn.ModuleDict, layer.parametrizations)["weight"]
    return cast(parametrize.ParametrizationList, steps)


def tied_tensors(module: nn.Module) -> list[tuple[str, str]]:
    """Pairs of parameter names under which two different layers share one tensor."""
    first_name: dict[int, str] = {}
    pairs = []
    for module_name, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False):
            full_name = f"{module_name}.{name}" if module_name else name
            if id(parameter) in first_name:
                pairs.append((first_name[id(parameter)], full_name))
            first_name.setdefault(id(parameter), full_name)
    return pairs
