"""What peers do in a call, and the numbers that they do it with."""

import importlib
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from wider.bench._suite import SPARSEPROP, Peer, measure
from wider.randomness import stream
from wider.sparsity import draw_mask

NUM_CLASSES = 10
TOLERANCE = 1e-3  # of the largest number; SparseProp's sums run in another order than PyTorch's
CHOICE_REPETITIONS = 2

Passes = Callable[[], tuple[Tensor, ...]]


def random_weight(
    shape: Sequence[int], connectivity: float, name: str
) -> tuple[Float[Tensor, "out ..."], Bool[Tensor, "out ..."]]:
    """A sparse weight and its mask, so scaled that outputs are about as large as inputs.

    Args:
        shape: of the weight, outputs first.
        connectivity: share of the weights that is kept, at random places.
        name: each has random numbers of its own.
    """
    generator = stream(0, "benchmark weight", name)
    weight = torch.randn(*shape, generator=generator)
    num_weights = max(1, round(connectivity * weight.numel()))
    mask = draw_mask(shape, num_weights, generator=generator)
    return weight * mask * (shape[0] / num_weights) ** 0.5, mask


def random_images(*shape: int) -> Float[Tensor, "batch ..."]:
    """Inputs, or slopes of a loss: normal random numbers, always the same ones."""
    return torch.randn(*shape, generator=stream(0, "benchmark images"))


def both_passes(module: nn.Module, images: Tensor, slope: Tensor, steps: int = 1) -> Passes:
    """A call that takes images forward through a module and the loss's slope backward.

    Args:
        module: what is measured.
        images: its input, whose gradient is computed as well, as in the middle of a net.
        slope: the gradient of the loss by the outputs.
        steps: how often a call does it.

    Returns:
        The call; it returns the outputs and the gradients of the images and all parameters.
    """
    images = images.clone().requires_grad_()
    inputs = [images, *module.parameters()]

    def run() -> tuple[Tensor, ...]:
        result: tuple[Tensor, ...] = ()
        for _ in range(steps):
            outputs = module(images)
            result = (outputs.detach(), *torch.autograd.grad(outputs, inputs, slope))
        return result

    return run


def csr(weight: Float[Tensor, "out in"]) -> Tensor:
    """The weight without its zeros, in PyTorch's own compressed format."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return weight.to_sparse_csr()


def dense_linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """PyTorch's layer, zeros and all."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data, layer.bias.data = weight.clone(), bias.clone()
    return layer


class TrainingStep:
    """Forward, cross entropy, backward, and SGD with momentum 0.9 and weight decay 5e-4.

    Attributes:
        net: that is trained.
        optimiser: its own.

    Args:
        net: in training mode.
        images: the one batch, again and again; its labels are random.
    """

    def __init__(self, net: nn.Module, images: Float[Tensor, "batch ..."]) -> None:
        self.net = net
        self.images = images
        self.labels: Int64[Tensor, " batch"] = torch.randint(
            NUM_CLASSES, (len(images),), generator=stream(0, "benchmark labels")
        )
        self.optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def __call__(self) -> float:
        """Takes the step; the loss before it."""
        self.optimiser.zero_grad()
        loss = functional.cross_entropy(self.net(self.images), self.labels)
        loss.backward()
        self.optimiser.step()
        return loss.item()


def sparseprop_peers(dense: nn.Module, images: Tensor, slope: Tensor, steps: int) -> list[Peer]:
    """SparseProp's layers in place of dense ones, if it is installed and computes the same.

    Nikdan et al. 2023. Linear layers become its `SparseLinear`, convolutions the faster of the two
    kinds of its `SparseConv2d`. It takes the zeros of a weight to be the removed entries.

    Args:
        dense: a layer, or layers one after the other, with zeros in the weights.
        images: the input.
        slope: the gradient of the loss by the outputs.
        steps: how often a call goes forward and backward.

    Returns:
        The peer, or nothing.
    """
    modules = _installed()
    if modules is None:
        return []
    layers = list(dense) if isinstance(dense, nn.Sequential) else [dense]
    converted = nn.Sequential(*_converted(modules, layers, images))
    if not _agree(converted, dense, images, slope):
        warnings.warn(f"{SPARSEPROP} computes something else here: left out", stacklevel=2)
        return []
    return [Peer(SPARSEPROP, both_passes(converted, images, slope, steps))]


def _installed() -> ModuleType | None:
    try:
        # After PyTorch, so that both have one OpenMP library and with it one number of threads.
        return importlib.import_module("sparseprop.modules")
    except ImportError:
        return None


def _converted(modules: ModuleType, layers: Sequence[nn.Module], images: Tensor) -> list[nn.Module]:
    converted, made = [], {}
    for layer in layers:
        with torch.no_grad():
            outputs = layer(images)
        converted.append(_layer(modules, layer, images, made))
        images = outputs
    return converted


def _layer(
    modules: ModuleType, layer: nn.Module, images: Tensor, chosen: dict[torch.Size, int]
) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return modules.SparseLinear.from_dense(layer)
    kinds = [
        modules.SparseConv2d.from_dense(layer, vectorizing_over_on=over_columns)
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
