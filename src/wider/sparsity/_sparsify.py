"""Any PyTorch module, sparsified to a budget."""

import math
import warnings
from typing import TypeVar

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wider.errors import InputError
from wider.native import SparseLayer
from wider.randomness import stream
from wider.sparsity._allocation import Allocation, allocate
from wider.sparsity._count import count_weights
from wider.sparsity._layers import WeightLayer, tied_tensors, weight_layers
from wider.sparsity._mask import Mask
from wider.sparsity._pattern import Pattern, draw_mask

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class BudgetWarning(UserWarning):
    """The budget cannot be met exactly; the message says by how much it is missed."""


def sparsify(
    module: AnyModule,
    *,
    num_weights: int,
    allocation: Allocation = "level",
    pattern: Pattern = "uniform",
    seed: int = 0,
) -> AnyModule:
    """Removes weights at random until a freshly initialised net has `num_weights` of them.

    Done in place, before training. Each layer's weights and biases are divided by the square root
    of its connectivity c: the initial weights U(-a, a), a = 1/sqrt(fan_in), become
    a = 1/sqrt(fan_in c), and N(0, 1) becomes N(0, 1/c), so that the outputs keep their scale.
    Layers that keep everything are left as they are.

    Args:
        module: any net with linear, convolutional or transposed convolutional layers.
        num_weights: the budget, in trainable weights of the whole net.
        allocation: how many weights each layer keeps; see `allocate`.
        pattern: which ones; see `draw_mask`.
        seed: each layer's mask is drawn from a stream of its own, by seed and layer name.

    Returns:
        The same module.

    Raises:
        InputError: the budget or the allocation cannot be met, tensors are tied, or a layer is
            parametrised already. The module is then as it was.

    Warns:
        BudgetWarning: pattern "io" keeps whole kernels and so can miss the budget, by less than
            one kernel per layer.

    Example:
        >>> net = nn.Sequential(nn.Linear(784, 80), nn.ReLU(), nn.Linear(80, 10))
        >>> count_weights(sparsify(net, num_weights=3970))
        3970

    Source:
        Golubeva et al. 2021, Section 2.1 and Appendix B.
    """
    layers = weight_layers(module)
    _refuse_entangled(module, layers)
    shapes = {name: tuple(layer.weight.shape) for name, layer in layers.items()}
    counts = allocate(shapes, num_weights, allocation)
    masks = {
        name: draw_mask(shapes[name], count, pattern, generator=stream(seed, "mask", name))
        for name, count in counts.items()
        if count < math.prod(shapes[name])
    }
    for name, mask in masks.items():
        _apply(layers[name], mask)
    _check_budget(module, num_weights, pattern)
    return module


def _apply(layer: WeightLayer, mask: Bool[Tensor, "..."]) -> None:
    scale = math.sqrt(mask.numel() / int(torch.count_nonzero(mask)))
    with torch.no_grad():
        layer.weight.mul_(scale)
        if layer.bias is not None:
            layer.bias.mul_(scale)
    parametrize.register_parametrization(layer, "weight", Mask(mask.to(layer.weight.device)))


def _refuse_entangled(module: nn.Module, layers: dict[str, WeightLayer]) -> None:
    for name, layer in layers.items():
        if parametrize.is_parametrized(layer, "weight"):
            raise InputError(
                f"the weight of layer {name!r} is parametrised already (sparsified, or by another "
                "tool): start from a plain net"
            )
    for name, part in module.named_modules():
        if isinstance(part, SparseLayer):
            raise InputError(f"layer {name!r} is sparse already (native): start from a plain net")
    ours = {f"{name}.{part}".removeprefix(".") for name in layers for part in ("weight", "bias")}
    for pair in tied_tensors(module):
        if ours & set(pair):
            raise InputError(
                f"{pair[0]!r} and {pair[1]!r} are one tied tensor, which cannot be masked or "
                "scaled for one layer alone: give each layer its own, or freeze it with "
                "requires_grad_(False)"
            )


def _check_budget(module: nn.Module, num_weights: int, pattern: Pattern) -> None:
    kept = count_weights(module)
    if kept == num_weights:
        return
    if pattern == "uniform":
        raise AssertionError(f"{kept} weights kept, the budget was {num_weights}")
    warnings.warn(
        f"pattern {pattern!r} keeps whole kernels: {kept:,} weights instead of {num_weights:,} "
        f"({kept - num_weights:+,})",
        BudgetWarning,
        stacklevel=3,
    )
