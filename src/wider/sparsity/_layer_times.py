"""What each sparse layer costs, masked and native, on this machine."""

import copy
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import nn

from wider.inputs import Inputs
from wider.sparsity._matrices import WeightLayer, mask_of
from wider.sparsity._multiply_adds import multiply_adds
from wider.sparsity._native import native_layer, reason_to_stay
from wider.text import console

REPETITIONS = 5


@dataclass(frozen=True)
class LayerTimes:
    """One sparse layer of a net.

    Attributes:
        name: of the layer.
        connectivity: kept weights / weights of the dense layer.
        num_weights: that it keeps.
        multiply_adds: of a forward pass.
        masked_seconds: of a forward and a backward pass of a batch, median.
        native_seconds: the same of a native layer, None where there is no such.
        stays: why `to_native` leaves it as it is; empty where it replaces it.
    """

    name: str
    connectivity: float
    num_weights: int
    multiply_adds: int
    masked_seconds: float
    native_seconds: float | None
    stays: str


def layer_times(module: nn.Module, inputs: Inputs) -> list[LayerTimes]:
    """Times every masked layer of a net as it is and as a native layer, side by side.

    Args:
        module: a net that was sparsified; it is left as it was.
        inputs: a batch such as it will be trained on, as `multiply_adds` takes it. What a layer is
            timed with has the shape that it sees, and other numbers.

    Returns:
        The linear and convolutional layers in the order in which they compute, without those whose
        weights another module uses in their stead (the `out_proj` of attention).

    Raises:
        InputError: the net does not take such inputs.
    """
    shapes = layer_shapes(module, inputs)
    arithmetic = multiply_adds(module, inputs)
    return [
        _timed(name, layer, shape, arithmetic.get(name, 0))
        for name, shape in shapes.items()
        if mask_of(layer := module.get_submodule(name)) is not None
    ]


def layer_shapes(module: nn.Module, inputs: Sequence[int] | Inputs) -> dict[str, torch.Size]:
    """The shape of the inputs of each linear and convolutional layer.

    Args:
        module: any net; it is left as it was.
        inputs: of a forward pass, as `multiply_adds` takes them.

    Returns:
        {name: shape}, in the order in which the layers compute, without those whose weights another
        module uses in their stead; of a layer that is called several times, the last.

    Raises:
        InputError: the net does not take such inputs.
    """
    shapes: dict[str, torch.Size] = {}
    handles = []
    for name, layer in module.named_modules():
        if isinstance(layer, WeightLayer):

            def remember(_: nn.Module, args: tuple, keywords: dict, name: str = name) -> None:
                shapes[name] = (*args, *keywords.values())[0].shape

            handles.append(layer.register_forward_pre_hook(remember, with_kwargs=True))
    try:
        multiply_adds(module, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def print_table(layers: list[LayerTimes]) -> None:
    """Prints the layers as a table."""
    table = Table(caption="milliseconds of a forward and a backward pass, median, on this machine")
    for heading in ("layer", "connectivity", "weights", "multiply-adds", "masked", "native", ""):
        justify = "left" if heading in ("layer", "") else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for layer in layers:
        native = layer.native_seconds
        table.add_row(
            layer.name,
            f"{layer.connectivity:.4f}",
            f"{layer.num_weights:,}",
            f"{layer.multiply_adds:,}",
            f"{1e3 * layer.masked_seconds:.2f}",
            "" if native is None else f"{1e3 * native:.2f}",
            f"stays masked: {layer.stays}" if layer.stays else "native",
        )
    console().print(table)


def _timed(name: str, layer: nn.Module, shape: torch.Size, arithmetic: int) -> LayerTimes:
    mask = mask_of(layer)
    assert mask is not None
    masked, native = copy.deepcopy(layer), native_layer(layer)
    peers = [masked] if native is None else [masked, native]
    medians = _medians(peers, shape)
    return LayerTimes(
        name=name,
        connectivity=int(torch.count_nonzero(mask)) / mask.numel(),
        num_weights=int(torch.count_nonzero(mask)),
        multiply_adds=arithmetic,
        masked_seconds=medians[0],
        native_seconds=None if native is None else medians[1],
        stays=reason_to_stay(layer, shape),
    )


def _medians(layers: list[nn.Module], shape: torch.Size) -> list[float]:
    parameter = next(layers[0].parameters())
    images = torch.ones(shape, device=parameter.device, dtype=parameter.dtype, requires_grad=True)
    seconds: list[list[float]] = [[] for _ in layers]
    for repetition in range(REPETITIONS + 1):
        for layer, taken in zip(layers, seconds, strict=True):
            start = time.perf_counter()
            layer(images).sum().backward()
            if repetition:  # the first one allocates
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]
