"""The weights and the arithmetic of a run's net, counted without making it."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

from wider.models import ModelSpec
from wider.runs._spec import Method, RunSpec
from wider.sparsity import (
    BudgetWarning,
    WeightLayer,
    allocate,
    count_weights,
    multiply_adds,
    weight_layers,
)
from wider.tasks import Task

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
        multiply_adds: of each layer and one example.
        shapes: of the weights of each layer that is counted.
        num_weights: of all of them.
    """

    multiply_adds: dict[str, int]
    shapes: dict[str, tuple[int, ...]]
    num_weights: int


def multiply_adds_per_example(
    spec: RunSpec, task: Task, *, connectivity: Mapping[str, float] | None = None
) -> int:
    """Multiply-adds of one example's forward pass; weights that are removed count nothing.

    Args:
        spec: the run.
        task: what its net takes and gives.
        connectivity: of each layer, as a finished run has it; by default what the allocation gives,
            which whole kernels can miss by less than one kernel a layer.

    Raises:
        InputError: there is no such net.
    """
    if not spec.model.same_uses:
        return _by_making_it(_without_seed(spec), task)
    net = _stored(spec, task)
    if connectivity is None:
        connectivity = _allocated(spec, task, net)
    kept = {name: connectivity[name] for name in net.shapes}
    # A layer that is excluded has all of its weights.
    return round(sum(count * kept.get(name, 1.0) for name, count in net.multiply_adds.items()))


def stored_multiply_adds_per_example(spec: RunSpec, task: Task) -> int:
    """The same where the zeros are stored and multiplied."""
    if not spec.model.same_uses:
        dense = {"method": "dense", "allocation": "level", "pattern": "uniform"}
        is_sparse = spec.widening.method == "sparse"
        widening = spec.widening.model_copy(update=dense if is_sparse else {})
        return _by_making_it(_without_seed(spec.model_copy(update={"widening": widening})), task)
    return sum(_stored(spec, task).multiply_adds.values())


def family_weights(spec: RunSpec, task: Task) -> int:
    """The number of weights of the family's baseline; see `Family.num_weights`."""
    if not spec.model.same_uses:
        return spec.family(task).num_weights
    base_width = spec.widening.base_width
    return _built(
        spec.model, _Member("dense", base_width, base_width, spec.widening.exclude), task
    ).num_weights


def _without_seed(spec: RunSpec) -> RunSpec:
    return spec.model_copy(update={"seed": 0})


@cache
def _by_making_it(spec: RunSpec, task: Task) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        return multiply_adds(spec.build(task), task.zeros())[""]


def _stored(spec: RunSpec, task: Task) -> _Net:
    widening = spec.widening
    method = "dense" if widening.method == "sparse" else widening.method
    member = _Member(method, widening.base_width, widening.width, widening.exclude)
    return _built(spec.model, member, task)


@cache
def _built(model: ModelSpec, member: _Member, task: Task) -> _Net:
    family = model.family(task, base_width=member.base_width, exclude=member.exclude)
    # Shapes without numbers: wide nets have hundreds of megabytes.
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        net = getattr(family, member.method)(member.width)
    shapes = {name: tuple(layer.weight.shape) for name, layer in weight_layers(net).items()}
    uses = _uses(model, member.method, member.exclude, task)
    arithmetic = {name: size * uses[name] for name, size in _sizes(net).items()}
    return _Net(arithmetic, shapes, count_weights(net))


@cache
def _uses(model: ModelSpec, method: Method, exclude: tuple[str, ...], task: Task) -> dict[str, int]:
    """How often one example uses each weight of a layer.

    The same at every width, so a narrow net is asked, and one of zeros: a forward pass without
    numbers would import PyTorch's compiler, which takes seconds.
    """
    family = model.family(replace(task, num_outputs=1), base_width=NARROW, exclude=exclude)
    with torch.device("meta"):
        net = getattr(family, method)(NARROW)
    net.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*net.parameters(), *net.buffers()):
            tensor.zero_()
    counts = multiply_adds(net, task.zeros())
    return {name: counts[name] // size for name, size in _sizes(net).items()}


def _sizes(net: nn.Module) -> dict[str, int]:
    """Of the weights of all layers, of those that are excluded, too."""
    return {
        name: layer.weight.numel()
        for name, layer in net.named_modules()
        if isinstance(layer, WeightLayer)
    }


def _allocated(spec: RunSpec, task: Task, net: _Net) -> dict[str, float]:
    if spec.widening.method != "sparse":
        return dict.fromkeys(net.shapes, 1.0)
    counts = allocate(net.shapes, family_weights(spec, task), spec.widening.allocation)
    return {name: count / math.prod(net.shapes[name]) for name, count in counts.items()}
