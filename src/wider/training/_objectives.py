"""What training makes small."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wider.errors import InputError
from wider.registry import Registry
from wider.tasks import Task


class Objective(ABC):
    """A loss of each example, of which a step lowers the mean over a batch.

    Attributes:
        name: under which it is registered, or a user's own `module:name`.
        outputs: of the tasks that it is for, as `Task` calls them; None for all.
        metric: the name of what is told of a run, unless its recipe names another.
    """

    name: str
    outputs: tuple[str, ...] | None = None
    metric: str = "loss"

    @abstractmethod
    def total(self, outputs: Tensor, targets: Tensor) -> Float[Tensor, ""]:
        """The sum of the losses of some examples.

        Args:
            outputs: of the net, float32 or float64.
            targets: as the data have them.
        """


OBJECTIVES: Registry[type[Objective]] = Registry("objective", group="wider.objectives")


@OBJECTIVES.register("cross-entropy")
class CrossEntropy(Objective):
    """Of the class of each example, in nats."""

    outputs = ("classes",)
    metric = "accuracy"

    def total(self, outputs: Tensor, targets: Tensor) -> Float[Tensor, ""]:
        """See `Objective`."""
        return functional.cross_entropy(outputs, targets, reduction="sum")


@OBJECTIVES.register("mean-squared-error")
class MeanSquaredError(Objective):
    """The mean over the numbers of an example."""

    outputs = ("numbers",)
    metric = "mean-squared-error"

    def total(self, outputs: Tensor, targets: Tensor) -> Float[Tensor, ""]:
        """See `Objective`; targets (batch,) go with outputs (batch, 1)."""
        if outputs.numel() != targets.numel():
            raise InputError(
                f"the net's outputs are {tuple(outputs.shape)} and the targets "
                f"{tuple(targets.shape)}: they must hold as many numbers"
            )
        numbers = outputs.reshape(len(targets), -1)
        squares = (numbers - targets.reshape(numbers.shape)).square()
        return squares.sum() / numbers.shape[1]


@OBJECTIVES.register("next-token")
class NextToken(Objective):
    """The cross-entropy of what comes next, in nats, the mean over the tokens of an example."""

    outputs = ("tokens",)
    metric = "bits-per-byte"

    def total(self, outputs: Tensor, targets: Tensor) -> Float[Tensor, ""]:
        """See `Objective`; outputs are (batch, context, vocabulary), targets (batch, context)."""
        if outputs.shape[:-1] != targets.shape:
            raise InputError(
                f"the net's outputs are {tuple(outputs.shape)} and the targets "
                f"{tuple(targets.shape)}: use a net that gives (batch, context, vocabulary)"
            )
        nats = functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="sum")
        return nats / targets.shape[1]


class OwnObjective(Objective):
    """A user's own function of outputs and targets, which returns the loss of each example.

    Not their mean, nor their sum: these are one number, which is refused, so that neither can be
    taken for the other.

    Args:
        name: `module:name`.
        function: that has this name.
    """

    def __init__(self, name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.name = name
        self._function = function

    def total(self, outputs: Tensor, targets: Tensor) -> Float[Tensor, ""]:
        """See `Objective`."""
        return sum_of_each("objective", self.name, self._function, outputs, targets)


def sum_of_each(
    noun: str,
    name: str,
    function: Callable[[Tensor, Tensor], Any],
    outputs: Tensor,
    targets: Tensor,
) -> Float[Tensor, ""]:
    """The sum of what a user's own function returned of each example.

    Raises:
        InputError: it returned something else.
    """
    each = function(outputs, targets)
    if not isinstance(each, torch.Tensor) or each.shape != targets.shape[:1]:
        found = tuple(each.shape) if isinstance(each, torch.Tensor) else type(each).__name__
        raise InputError(
            f"the {noun} {name!r} returned {found} for {len(targets)} examples: return a tensor "
            f"({len(targets)},) with one number for each, neither their sum nor their mean"
        )
    return each.sum()


def find_objective(name: str, task: Task) -> Objective:
    """The objective of that name.

    Args:
        name: as `Registry` takes it.
        task: that it is for.

    Raises:
        InputError: there is none, or it is for other tasks.
    """
    return check_outputs("objective", made(OBJECTIVES, name, Objective, OwnObjective), task)


def made(registry: Registry[Any], name: str, kind: type[Any], own: Callable[..., Any]) -> Any:
    """An entry of a registry: of a class that is of a kind, or a function of a user's own."""
    found = registry.find(name)
    if not isinstance(found, type):
        if not callable(found):
            raise InputError(f"the {registry.noun} {name!r} is {found!r}: use a function")
        return own(name, found)
    if not issubclass(found, kind):
        raise InputError(
            f"the {registry.noun} {name!r} is a class, and not a {kind.__name__}: use a function, "
            f"or a subclass of wider.training.{kind.__name__}"
        )
    entry = found()
    entry.name = name
    return entry


def check_outputs(noun: str, entry: Any, task: Task) -> Any:
    """What it is given, where that is for a task.

    Raises:
        InputError: it is for others.
    """
    if entry.outputs is not None and task.output not in entry.outputs:
        raise InputError(
            f"the {noun} {entry.name!r} is for {' and '.join(entry.outputs)}, and the data have "
            f"{task.output} to say: use another, or leave it out for that of the data"
        )
    return entry
