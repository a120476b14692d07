"""Which layers can become native, which gain by it, and what they take on this machine."""

import copy
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from wider.inputs import Inputs
from wider.native import SparseConv2d, SparseLayer, SparseLinear
from wider.native.cost import Work, native_ratio
from wider.sparsity._mask import mask_of, parametrizations_of, stored_parameter
from wider.sparsity._multiply_adds import multiply_adds
from wider.sparsity._rules import WeightLayer
from wider.text import aligned, shown

KINDS = (nn.Linear, nn.Conv2d)
WORTH = 1.1  # the ratio of times below which a layer becomes native: it takes less memory then
REPETITIONS = 5  # of what is timed
USUAL_BATCH, USUAL_SIDE = 128, 16  # of images that nothing is known of

NATIVE_NAMES = ("values", "columns", "starts", "shape", "mask", "spread", "gathered")
"""Attributes that a native layer has and the layer that it stands for has not."""


def native_layer(layer: nn.Module) -> SparseLayer | None:
    """A native layer that computes the same, or None where there is no such."""
    mask = mask_of(layer)
    if mask is None or _obstacle(layer):
        return None
    if isinstance(layer, nn.Conv2d):
        padding = cast(tuple[int, int], layer.padding)
        return SparseConv2d(layer.weight, mask, layer.bias, stride=layer.stride, padding=padding)
    assert isinstance(layer, nn.Linear)
    return SparseLinear(layer.weight, mask, layer.bias)


def reason_to_stay(layer: nn.Module, shape: Sequence[int] | None = None) -> str:
    """Why a layer does not become native, in a few words; empty where it does.

    Args:
        layer: masked, or a convolution that keeps all its weights.
        shape: of its inputs; if None, of a usual batch.
    """
    if obstacle := _obstacle(layer):
        return obstacle
    ratio = native_ratio(_work(layer, shape))
    return "" if ratio < WORTH else f"native would take {ratio:.2g} times as long"


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


def table_of(layers: list[LayerTimes]) -> str:
    """The layers as a table, in lines of text."""
    headings = ("layer", "connectivity", "weights", "multiply-adds", "masked", "native", "")
    rows = [
        (
            shown(layer.name),
            f"{layer.connectivity:.4f}",
            f"{layer.num_weights:,}",
            f"{layer.multiply_adds:,}",
            f"{1e3 * layer.masked_seconds:.2f}",
            "" if layer.native_seconds is None else f"{1e3 * layer.native_seconds:.2f}",
            f"stays masked: {layer.stays}" if layer.stays else "native",
        )
        for layer in layers
    ]
    caption = "milliseconds of a forward and a backward pass, median, on this machine"
    return "\n".join([*aligned([headings, *rows], right=range(1, 6)), caption])


def _work(layer: nn.Module, shape: Sequence[int] | None) -> Work:
    mask, weight = mask_of(layer), stored_parameter(layer, "weight")
    num_weights = weight.numel() if mask is None else int(torch.count_nonzero(mask))
    sizes = tuple(weight.shape)
    if not isinstance(layer, nn.Conv2d):
        rows = USUAL_BATCH if shape is None else math.prod(shape[:-1])
        return Work(sizes, num_weights, rows)
    batch = USUAL_BATCH if shape is None or len(shape) < 4 else shape[0]
    image = (USUAL_SIDE, USUAL_SIDE) if shape is None else (shape[-2], shape[-1])
    padding = cast(tuple[int, int], layer.padding)
    stride = (layer.stride[0], layer.stride[1])
    return Work(sizes, num_weights, batch, image, stride, padding)


def _obstacle(layer: nn.Module) -> str:
    kind = parametrize.type_before_parametrizations(layer)
    if kind not in KINDS:
        return f"no native {kind.__name__}"
    if mask_of(layer) is not None and (addition := _addition(layer)):
        return addition
    if isinstance(layer, nn.Conv2d):
        plain = {
            "groups": layer.groups == 1,
            "dilation": tuple(layer.dilation) == (1, 1),
            f"padding mode {layer.padding_mode}": layer.padding_mode == "zeros",
            "padding given by name": not isinstance(layer.padding, str),
        }
        return next((name for name, holds in plain.items() if not holds), "")
    return ""


def _addition(layer: nn.Module) -> str:
    """What was put on a layer that a native one could not do."""
    if len(parametrizations_of(layer)) > 1:
        return "a second parametrisation"
    for name in cast(nn.ModuleDict, layer.parametrizations):
        if name != "weight":
            return f"a parametrised {name}"
    if layer.bias is not None and "bias" not in dict(layer.named_parameters(recurse=False)):
        return "a bias that is recomputed"
    stored = stored_parameter(layer, "weight")
    if stored._backward_hooks or stored._post_accumulate_grad_hooks:
        return "a hook on its weight"
    taken = (name for name in NATIVE_NAMES if hasattr(layer, name))
    if name := next(taken, ""):
        return f"an attribute called {name}"
    return "a forward of its own" if "forward" in vars(layer) else ""


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
