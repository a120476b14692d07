"""The weights and the arithmetic of a run's net, counted without making it."""

import math
import warnings
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from wider.runs._spec import Method, ModelSpec, RunSpec
from wider.sparsity import BudgetWarning, WeightLayer, allocate, multiply_adds, weight_layers

NARROW = 4


class _Member(NamedTuple):
    """Of a family; a sparse one counts as the dense one that it was cut from."""

    method: Method
    base_width: int
    width: int
    exclude: tuple[str, ...]


class _Net(NamedTuple):
    """A net with every weight in place.

    Attributes:
        multiply_adds: of each layer and one image.
        shapes: of the weights of each layer that is counted.
        family_weights: weights of the family's baseline.
    """

    multiply_adds: dict[str, int]
    shapes: dict[str, tuple[int, ...]]
    family_weights: int


def multiply_adds_per_image(
    spec: RunSpec,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
    connectivity: Mapping[str, float] | None = None,
) -> int:
    """Multiply-adds of one image's forward pass; weights that are removed count nothing.

    Args:
        spec: the run.
        image_shape: channels, height, width of an image.
        num_classes: outputs of the net.
        connectivity: of each layer, as a finished run has it; by default what the allocation gives,
            which whole kernels can miss by less than one kernel a layer.
    """
    net = _stored(spec, image_shape, num_classes)
    if connectivity is None:
        connectivity = _allocated(spec, net)
    kept = {name: connectivity[name] for name in net.shapes}
    # A layer that is excluded has all of its weights.
    return round(sum(count * kept.get(name, 1.0) for name, count in net.multiply_adds.items()))


def stored_multiply_adds_per_image(
    spec: RunSpec, *, image_shape: tuple[int, int, int], num_classes: int
) -> int:
    """The same where the zeros are stored and multiplied."""
    return sum(_stored(spec, image_shape, num_classes).multiply_adds.values())


def family_weights(spec: RunSpec, *, image_shape: tuple[int, int, int], num_classes: int) -> int:
    """The number of weights of the family's baseline; see `Family.num_weights`."""
    return _stored(spec, image_shape, num_classes).family_weights


def _stored(spec: RunSpec, image_shape: tuple[int, int, int], num_classes: int) -> _Net:
    widening = spec.widening
    method = "dense" if widening.method == "sparse" else widening.method
    member = _Member(method, widening.base_width, widening.width, widening.exclude)
    return _built(spec.model, member, image_shape, num_classes)


@cache
def _built(
    model: ModelSpec, member: _Member, image_shape: tuple[int, int, int], num_classes: int
) -> _Net:
    spec = RunSpec.model_validate({"model": model, "widening": member._asdict()})
    family = spec.family(image_shape=image_shape, num_classes=num_classes)
    # Shapes without numbers: wide nets have hundreds of megabytes.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        net, num_weights = getattr(family, member.method)(member.width), family.num_weights
    shapes = {name: tuple(layer.weight.shape) for name, layer in weight_layers(net).items()}
    uses = _uses(model, member.method, member.exclude, image_shape)
    arithmetic = {name: size * uses[name] for name, size in _sizes(net).items()}
    return _Net(arithmetic, shapes, num_weights)


@cache
def _uses(
    model: ModelSpec, method: Method, exclude: tuple[str, ...], image_shape: tuple[int, int, int]
) -> dict[str, int]:
    """How often one image uses each weight of a layer: the same at every width, so a narrow net is
    asked, since a forward pass without numbers takes a quarter of a second.
    """
    narrow = {"base_width": NARROW, "width": NARROW, "exclude": exclude}
    spec = RunSpec.model_validate({"model": model, "widening": narrow})
    family = spec.family(image_shape=image_shape, num_classes=1)
    with torch.device("meta"):
        net = getattr(family, method)(NARROW)
        counts = multiply_adds(net, image_shape)
    return {name: counts[name] // size for name, size in _sizes(net).items()}


def _sizes(net: nn.Module) -> dict[str, int]:
    """Of the weights of all layers, of those that are excluded, too."""
    return {
        name: layer.weight.numel()
        for name, layer in net.named_modules()
        if isinstance(layer, WeightLayer)
    }


def _allocated(spec: RunSpec, net: _Net) -> dict[str, float]:
    if spec.widening.method != "sparse":
        return dict.fromkeys(net.shapes, 1.0)
    counts = allocate(net.shapes, net.family_weights, spec.widening.allocation)
    return {name: count / math.prod(net.shapes[name]) for name, count in counts.items()}
