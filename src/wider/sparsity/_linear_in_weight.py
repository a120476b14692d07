"""Whether a layer of an unknown class uses its weight as the class that it derives from does."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from wider.randomness import stream

TOLERANCE = 1e-3  # of the largest output, for float32


def is_linear_in_weight(layer: Any) -> bool:
    """Tries it: outputs by a sum of two weights are the sum of their outputs.

    Then a weight of zero has no effect, as one that is removed must have none. A layer that
    standardises or normalises its weight fails.

    Args:
        layer: a linear or convolutional layer, which is left as it was; any other is not tried.

    Returns:
        Whether it is; not where the layer cannot be tried.
    """
    if not isinstance(layer, nn.Linear | _ConvNd):
        return False
    if layer.weight.is_meta:
        return True  # nothing can be tried without numbers; a real one is
    generator = stream(0, "probe")
    like = {"device": layer.weight.device, "dtype": layer.weight.dtype}

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(**like)

    one, other = (drawn(*layer.weight.shape) for _ in range(2))
    inputs = drawn(*_input_shape(layer))

    def outputs(weight: Tensor) -> Tensor:
        return functional_call(layer, {"weight": weight}, (inputs,))

    was_training = layer.training
    layer.eval()
    try:
        with torch.no_grad():
            offset = outputs(torch.zeros_like(one))
            parts = outputs(one) + outputs(other) - offset
            whole = outputs(one + other)
    except (RuntimeError, ValueError, TypeError):
        return False
    finally:
        layer.train(was_training)
    return bool((parts - whole).abs().max() <= TOLERANCE * whole.abs().max())


def _input_shape(layer: nn.Linear | _ConvNd) -> tuple[int, ...]:
    if isinstance(layer, nn.Linear):
        return (2, layer.in_features)
    sides = (
        dilation * (kernel - 1) + 1 + stride
        for kernel, dilation, stride in zip(
            layer.kernel_size, layer.dilation, layer.stride, strict=True
        )
    )
    return (1, layer.in_channels, *sides)
