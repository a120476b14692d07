"""What a run measures of its net, beside its losses: before training, after it, or both."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from wider.data import TrainingData
from wider.errors import InputError
from wider.own_code import find_own
from wider.registry import Described, SpecRegistry, bounded
from wider.sparsity import weight_layers
from wider.training import Recipe

Moment = Literal["before", "after"]
Numbers = dict[str, float]


class Measured(NamedTuple):
    """What a measurement is given.

    Attributes:
        model: the net, in evaluation mode.
        data: on the device of the model.
        recipe: by which it is trained.
        seed: of the run.
        moment: whether it is still to be trained, or was trained.
    """

    model: nn.Module
    data: TrainingData
    recipe: Recipe
    seed: int
    moment: Moment


class Measurement(Described, ABC):
    """Something to measure: a frozen dataclass of its options."""

    @abstractmethod
    def measure(self, run: Measured) -> Numbers:
        """Numbers by name, without the moment; none where nothing is measured at this moment."""


@dataclass(frozen=True)
class OwnMeasurement(Measurement):
    """A user's own: a function that is called with a `Measured` and the options.

    Args:
        name: `module:name`.
        options: further keyword arguments.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def measure(self, run: Measured) -> Numbers:
        """See `Measurement`."""
        function: Callable[..., Numbers] = find_own(self.name)
        numbers = function(run, **self.options)
        try:
            plain = {name: torch.as_tensor(value).detach() for name, value in numbers.items()}
            return {str(name): float(value) for name, value in plain.items()}
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{self.name} gives {numbers!r}: a measurement has to give numbers by name"
            ) from error


MEASUREMENTS: SpecRegistry[Measurement] = SpecRegistry(
    "measurement", group="wider.measurements", own=OwnMeasurement
)
"""Measurements by name. Another one is a class with the decorator `@MEASUREMENTS.register(name)`
in a file of its own.
"""


@MEASUREMENTS.register("activations")
@dataclass(frozen=True)
class Activations(Measurement):
    """Of the outputs of each layer with weights: the mean square, and the share above 0."""

    examples: int = bounded(100, 1, 100_000)
    """Test examples over which these are means."""

    def measure(self, run: Measured) -> Numbers:
        """See `Measurement`."""
        numbers: Numbers = {}
        handles = []
        for name, layer in weight_layers(run.model).items():

            def note(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
                values = output.double()
                numbers[f"{name} mean square"] = float(values.square().mean())
                numbers[f"{name} share above 0"] = float((values > 0).double().mean())

            handles.append(layer.register_forward_hook(note))
        try:
            with torch.no_grad():
                run.model(_first(run, self.examples)[0])
        finally:
            for handle in handles:
                handle.remove()
        return numbers


@MEASUREMENTS.register("gradient-norms")
@dataclass(frozen=True)
class GradientNorms(Measurement):
    """Of the weights of each layer: the norm of the gradient of the mean loss."""

    examples: int = bounded(100, 1, 100_000)
    """Test examples over which the loss is the mean."""

    def measure(self, run: Measured) -> Numbers:
        """See `Measurement`."""
        inputs, targets = _first(run, self.examples)
        total = run.recipe.objective_for(run.data.task).total(run.model(inputs), targets)
        parameters = dict(run.model.named_parameters())
        gradients = torch.autograd.grad(
            total / len(targets), list(parameters.values()), allow_unused=True
        )
        return {
            name: float(gradient.double().norm())
            for name, gradient in zip(parameters, gradients, strict=True)
            if gradient is not None
        }


def measured(measurements: tuple[Measurement, ...], run: Measured) -> dict[str, Numbers]:
    """All of them at one moment, {measurement: {name: number}}; the net is left as it was."""
    found: dict[str, Numbers] = {}
    was_training = run.model.training
    run.model.eval()
    for measurement in measurements:
        numbers = measurement.measure(run)
        if numbers:
            found[measurement.name] = {
                f"{run.moment} {name}": value for name, value in numbers.items()
            }
    run.model.train(was_training)
    return found


def _first(run: Measured, count: int) -> tuple[Tensor, Tensor]:
    """The first test examples, where the net is."""
    inputs, targets = next(iter(run.data.batches("test", batch_size=count)))
    device = next(run.model.parameters()).device
    return inputs.to(device), targets.to(device)
