"""SparseProp (Nikdan et al. 2023), a peer that is measured where it is installed."""

import importlib
import warnings
from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

from wider.bench._layers import both_passes
from wider.bench._measure import measure
from wider.bench._suite import SPARSEPROP, Contestant

TOLERANCE = 1e-3  # of the largest number; its sums run in another order than PyTorch's
CHOICE_REPETITIONS = 2


def sparseprop_contestants(
    dense: nn.Module, images: Tensor, slope: Tensor, steps: int
) -> list[Contestant]:
    """SparseProp's layers in place of dense ones, if it is installed and computes the same.

    Linear layers become its `SparseLinear`, convolutions the faster of the two kinds of its
    `SparseConv2d`. It takes the zeros of a weight to be the removed entries.

    Args:
        dense: a layer, or layers one after the other, with zeros in the weights.
        images: the input.
        slope: the gradient of the loss by the outputs.
        steps: how often a call goes forward and backward.

    Returns:
        The contestant, or nothing.
    """
    peer = _installed()
    if peer is None:
        return []
    layers = list(dense) if isinstance(dense, nn.Sequential) else [dense]
    converted = nn.Sequential(*_converted(peer, layers, images))
    if not _agree(converted, dense, images, slope):
        warnings.warn(f"{SPARSEPROP} computes something else here: left out", stacklevel=2)
        return []
    return [Contestant(SPARSEPROP, both_passes(converted, images, slope, steps))]


def _installed() -> ModuleType | None:
    try:
        # After PyTorch, so that both have one OpenMP library and with it one number of threads.
        return importlib.import_module("sparseprop.modules")
    except ImportError:
        return None


def _converted(peer: ModuleType, layers: Sequence[nn.Module], images: Tensor) -> list[nn.Module]:
    converted, made = [], {}
    for layer in layers:
        with torch.no_grad():
            outputs = layer(images)
        converted.append(_layer(peer, layer, images, made))
        images = outputs
    return converted


def _layer(
    peer: ModuleType, layer: nn.Module, images: Tensor, chosen: dict[torch.Size, int]
) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return peer.SparseLinear.from_dense(layer)
    kinds = [
        peer.SparseConv2d.from_dense(layer, vectorizing_over_on=over_columns)
        for over_columns in (False, True)
    ]
    if images.shape not in chosen:  # layers of one stack are alike
        chosen[images.shape] = _faster(kinds, images)
    return kinds[chosen[images.shape]]


def _faster(kinds: Sequence[nn.Module], images: Tensor) -> int:
    """Which one is; its own `sparsify_conv2d_auto` times each once, and chance decides at times."""
    with torch.no_grad():
        slope = torch.ones_like(kinds[0](images))
    calls = {str(number): both_passes(kind, images, slope) for number, kind in enumerate(kinds)}
    seconds = measure(calls, repetitions=CHOICE_REPETITIONS)
    return int(min(seconds, key=lambda number: min(seconds[number])))


def _agree(one: nn.Module, other: nn.Module, images: Tensor, slope: Tensor) -> bool:
    """Whether outputs and the images' gradients are the same; weights are stored differently."""
    results: list[tuple[Tensor, ...]] = [
        both_passes(module, images, slope)()[:2] for module in (one, other)
    ]
    return all(
        torch.allclose(a, b, rtol=0, atol=TOLERANCE * float(b.abs().max()))
        for a, b in zip(*results, strict=True)
    )
