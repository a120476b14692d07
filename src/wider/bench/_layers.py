"""What suites of single layers share: their weights, their peers and what a call does."""

import warnings
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wider.randomness import stream
from wider.sparsity import draw_mask

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
