"""What a net makes of each input: its last features, or the gradients of its outputs."""

from collections.abc import Callable

import torch
from jaxtyping import Float64, Shaped
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from wider.errors import InputError
from wider.sparsity import WeightLayer


def feature_rows(
    net: nn.Module, layer: str | None
) -> Callable[[Shaped[Tensor, "batch ..."]], list[Float64[Tensor, "batch features"]]]:
    """The features of each input.

    Args:
        net: gets hooks that stay, so give it a copy.
        layer: whose input is the features; None for the weight layer that runs last.

    Returns:
        A function from a batch of inputs to their features, in a list of one.

    Raises:
        InputError: an unknown layer or no weight layer; from the returned function, a layer that
            does not run or does not see the batch along its first dimension.
    """
    last: list[Tensor] = []

    def remember(_part: nn.Module, inputs: tuple, keywords: dict) -> None:
        # A copy, since what follows may write into it in place.
        last[:] = [(*inputs, *keywords.values())[0].clone()]

    for part in _watched(net, layer):
        part.register_forward_pre_hook(remember, with_kwargs=True)

    def rows(batch: Tensor) -> list[Tensor]:
        last.clear()
        with torch.no_grad():
            net(batch)
        if not last:
            which = "no weight layer" if layer is None else f"layer {layer!r} never"
            raise InputError(f"{which} runs in a forward pass: name a layer that does")
        features = last[0]
        if len(features) != len(batch):
            raise InputError(
                f"the features are {tuple(features.shape)} for {len(batch)} inputs: name a layer "
                "whose input has the batch as its first dimension"
            )
        return [features.reshape(len(batch), -1)]

    return rows


def jacobian_rows(
    net: nn.Module,
) -> Callable[[Shaped[Tensor, "batch ..."]], list[Float64[Tensor, "batch outputs ..."]]]:
    """The gradients of every output of each input.

    Args:
        net: computes in float64; its parameters are frozen, so give it a copy.

    Returns:
        A function from a batch of inputs to the Jacobians, one per trainable parameter.

    Raises:
        InputError: no trainable parameter.

    Source:
        Novak et al. 2022 ("Jacobian contraction"); PyTorch's tutorial on neural tangent kernels.
    """
    parameters = {
        name: parameter.detach()
        for name, parameter in net.named_parameters()
        if parameter.requires_grad
    }
    if not parameters:
        raise InputError(
            "the net has no trainable parameter to derive by: unfreeze some with "
            "requires_grad_(True)"
        )
    net.requires_grad_(False)

    def outputs(parameters: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(net, parameters, (one[None],)).flatten()

    jacobians = vmap(jacrev(outputs), in_dims=(None, 0))
    return lambda batch: list(jacobians(parameters, batch).values())


def _watched(net: nn.Module, layer: str | None) -> list[nn.Module]:
    parts = dict(net.named_modules())
    found = {name: part for name, part in parts.items() if _is_weight_layer(part)}
    if layer is None and not found:
        raise InputError(
            "the net has no linear or convolutional layer whose input would be its features: name "
            "a layer"
        )
    if layer is None:
        return list(found.values())
    if layer not in parts:
        raise InputError(f"unknown layer {layer!r}; the net has " + ", ".join(map(repr, found)))
    return [parts[layer]]


def _is_weight_layer(part: nn.Module) -> bool:
    # Native layers are known by their method: theory imports no other room.
    return isinstance(part, WeightLayer) or hasattr(part, "dense_weight")
