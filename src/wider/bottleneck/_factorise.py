"""Any PyTorch module with linear bottlenecks in place of layers."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import torch
from jaxtyping import Float
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from wider.errors import InputError
from wider.native import SparseLayer
from wider.randomness import default_generator_from
from wider.sparsity import tied_tensors

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class LinearBottleneck(nn.Sequential):
    """A linear map of low rank: y = W2 (W1 x) + b, with nothing between the two.

    Args:
        down: W1, from the inputs to the channels of the bottleneck.
        up: W2 and b, from there to the outputs.

    Source:
        Golubeva et al. 2021, Section 2.2.
    """

    down: nn.Linear | nn.Conv2d
    up: nn.Linear | nn.Conv2d

    def __init__(self, down: nn.Linear | nn.Conv2d, up: nn.Linear | nn.Conv2d) -> None:
        super().__init__(OrderedDict(down=down, up=up))

    @property
    def weight(self) -> Float[torch.Tensor, "out in ..."]:
        """W2 W1, which code that computes with a layer's weight itself asks for (attention)."""
        down, up = self.down.weight, self.up.weight
        return (up.flatten(1) @ down.flatten(1)).view(len(up), *down.shape[1:])

    @property
    def bias(self) -> torch.Tensor | None:
        """That of W2."""
        return self.up.bias


def factorise(module: AnyModule, ranks: Mapping[str, int], *, seed: int = 0) -> AnyModule:
    """Replaces layers of a freshly initialised net by linear bottlenecks, in place.

    A linear layer (the `Conv1D` of transformers, too) becomes `down` without and `up` with a bias,
    where it had one. A k x k convolution becomes one of k x k to r channels, which keeps stride,
    padding and dilation, and one of 1 x 1 with the bias. Both parts start as PyTorch's default for
    their own fan-in, U(-a, a) with a = 1/sqrt(fan_in), whatever the layer held, so this is done
    before training. Layers that are not named stay as they are.

    Args:
        module: any net.
        ranks: {layer: r, the channels of its bottleneck}, from 1 to the smaller side of its
            weight as a matrix; see `wider.bottleneck.ranks`.
        seed: each part's initial weights are drawn from a stream of its own, by seed, layer name
            and part.

    Returns:
        The same module, or its replacement where it is itself a layer, named "".

    Raises:
        InputError: a name is no layer of the net, a rank is out of range, or the layer is not a
            plain `nn.Linear`, `nn.Conv2d` or `Conv1D` with weights of its own. The module is then
            as it was.

    Example:
        >>> net = nn.Sequential(nn.Linear(784, 80), nn.ReLU(), nn.Linear(80, 10))
        >>> wider.count_weights(factorise(net, {"0": 4}))
        4256

    Source:
        Golubeva et al. 2021, Section 2.2.
    """
    layers = dict(module.named_modules())
    for name, rank in ranks.items():
        _check(layers, name, rank)
    _refuse_tied(module, ranks)
    new_layers: dict[nn.Module, nn.Module] = {
        layers[name]: _bottleneck(layers[name], rank, name, seed) for name, rank in ranks.items()
    }
    # With duplicates: a layer under two names becomes one bottleneck under two names.
    for name, layer in list(module.named_modules(remove_duplicate=False)):
        if name and layer in new_layers:
            module.set_submodule(name, new_layers[layer])
    return cast(AnyModule, new_layers.get(module, module))


def _bottleneck(layer: Any, rank: int, name: str, seed: int) -> LinearBottleneck:
    # Always made on the CPU, so that every device gets the same initial weights.
    where = {"device": "cpu", "dtype": layer.weight.dtype}
    with default_generator_from(seed, "initial weights", name, "down"):
        if isinstance(layer, nn.Conv2d):
            down = nn.Conv2d(
                layer.in_channels,
                rank,
                cast(tuple[int, int], layer.kernel_size),
                cast(tuple[int, int], layer.stride),
                cast(tuple[int, int] | str, layer.padding),
                cast(tuple[int, int], layer.dilation),
                padding_mode=layer.padding_mode,
                bias=False,
                **where,
            )
        else:
            down = nn.Linear(_sides(layer)[1], rank, bias=False, **where)
    has_bias = layer.bias is not None
    with default_generator_from(seed, "initial weights", name, "up"):
        if isinstance(layer, nn.Conv2d):
            up = nn.Conv2d(rank, layer.out_channels, 1, bias=has_bias, **where)
        else:
            up = nn.Linear(rank, _sides(layer)[0], bias=has_bias, **where)
    return LinearBottleneck(down, up).to(layer.weight.device).train(layer.training)


def _sides(layer: Any) -> tuple[int, int]:
    """Outputs and inputs of a linear layer."""
    outputs, inputs = layer.weight.shape
    return (inputs, outputs) if _is_conv1d(layer) else (outputs, inputs)


def _is_conv1d(layer: nn.Module) -> bool:
    """Whether it is transformers' linear layer, whose weight is transposed."""
    kind = type(layer)
    return kind.__name__ == "Conv1D" and kind.__module__.startswith("transformers.")


def _is_plain(layer: nn.Module) -> bool:
    """Whether its forward does no more than its kind's."""
    kind = type(layer)
    is_linear = isinstance(layer, nn.Linear) and kind.forward is nn.Linear.forward
    return is_linear or kind is nn.Conv2d or _is_conv1d(layer)


def _check(layers: Mapping[str, nn.Module], name: str, rank: int) -> None:
    if name not in layers:
        known = [name for name, layer in layers.items() if _is_plain(layer)]
        raise InputError(
            f"ranks name a layer {name!r} that the net does not have; its linear and "
            "convolutional layers are " + (", ".join(map(repr, known)) or "none")
        )
    layer = layers[name]
    if obstacle := _obstacle(layer):
        raise InputError(f"layer {name!r} {obstacle}")
    weight = cast(torch.Tensor, layer.weight)
    most = min(len(weight), weight.numel() // len(weight))
    if not 1 <= rank <= most:
        raise InputError(
            f"the bottleneck of layer {name!r} cannot have {rank} channels; use 1 to {most}, the "
            "smaller side of its weight as a matrix"
        )


def _obstacle(layer: nn.Module) -> str:
    """Why a layer cannot be replaced, and the remedy; empty where it can."""
    if isinstance(layer, SparseLayer):
        return "is sparse already (native): start from a plain net"
    if parametrize.is_parametrized(layer):
        return "is parametrised (sparsified, or by another tool): start from a plain net"
    weight = getattr(layer, "weight", None)
    if isinstance(weight, torch.Tensor) and is_lazy(weight):
        return "does not know its shape yet: run one batch through the net first"
    if not _is_plain(layer):
        return (
            f"is a {type(layer).__name__}; only nn.Linear, nn.Conv2d and transformers' Conv1D can "
            "be factorised, since the forward of others may do more: leave it out"
        )
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    obstacles = {
        "has a weight that is recomputed by a hook: remove the hook first": not isinstance(
            weight, nn.Parameter
        ),
        "is frozen: leave it out, or call requires_grad_(True)": not all(
            parameter.requires_grad for parameter in layer.parameters()
        ),
        f"has {groups} groups, so its weight is not one matrix: leave it out": groups > 1,
    }
    return next((obstacle for obstacle, holds in obstacles.items() if holds), "")


def _refuse_tied(module: nn.Module, ranks: Mapping[str, int]) -> None:
    ours = {f"{name}.{part}".removeprefix(".") for name in ranks for part in ("weight", "bias")}
    for pair in tied_tensors(module):
        if ours & set(pair):
            raise InputError(
                f"{pair[0]!r} and {pair[1]!r} are one tied tensor, which cannot be factorised for "
                "one layer alone: give each layer its own"
            )
