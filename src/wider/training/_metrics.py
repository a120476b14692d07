"""What is told of a run."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from wider.registry import Registry
from wider.tasks import Task
from wider.training._objectives import (
    MeanSquaredError,
    NextToken,
    check_outputs,
    made,
    sum_of_each,
)


class Outcome(NamedTuple):
    """What a net gave for some examples.

    Attributes:
        outputs: as in `Objective`.
        targets: as in `Objective`.
        loss: the sum of the run's objective.
    """

    outputs: Tensor
    targets: Tensor
    loss: Float[Tensor, ""]


class Metric(ABC):
    """A number for each example, of whose mean over a part of the data a run tells.

    Attributes:
        name: under which it is registered, or a user's own `module:name`.
        outputs: of the tasks that it is for, as `Task` calls them; None for all.
        higher_is_better: whether a better net has a higher one.
        same_as: the name of an objective that has the same sums, so that a net which is trained on
            that is not computed with twice; None where there is none.
    """

    name: str
    outputs: tuple[str, ...] | None = None
    higher_is_better: bool = False
    same_as: str | None = None

    @abstractmethod
    def total(self, outcome: Outcome) -> Float[Tensor, ""]:
        """The sum over some examples."""

    def number(self, mean: float, bytes_per_token: float) -> float:  # noqa: ARG002 - of some
        """What is told.

        Args:
            mean: over the examples of a part.
            bytes_per_token: of that part, on average.
        """
        return mean


ACCURACY = "accuracy"  # each row of a history has it, whatever the metric is

METRICS: Registry[type[Metric]] = Registry("metric", group="wider.metrics")


def num_recognised(outputs: Tensor, targets: Tensor) -> Float[Tensor, ""]:
    """How many examples are recognised; of tokens the sum of each example's share."""
    hits = (outputs.argmax(-1) == targets).sum()
    return hits.double() / targets.shape[1] if targets.dim() > 1 else hits


@METRICS.register(ACCURACY)
class Accuracy(Metric):
    """The share of examples, or tokens, that are recognised."""

    outputs = ("classes", "tokens")
    higher_is_better = True

    def total(self, outcome: Outcome) -> Float[Tensor, ""]:
        """See `Metric`."""
        return num_recognised(outcome.outputs, outcome.targets)


@METRICS.register("error")
class Error(Metric):
    """The share of examples, or tokens, that are not recognised."""

    outputs = ("classes", "tokens")

    def total(self, outcome: Outcome) -> Float[Tensor, ""]:
        """See `Metric`."""
        return len(outcome.targets) - num_recognised(outcome.outputs, outcome.targets)


@METRICS.register("mean-squared-error")
class MeanSquaredErrorMetric(Metric):
    """As the objective of that name."""

    outputs = MeanSquaredError.outputs
    same_as = "mean-squared-error"

    def total(self, outcome: Outcome) -> Float[Tensor, ""]:
        """See `Metric`."""
        return MeanSquaredError().total(outcome.outputs, outcome.targets)


@METRICS.register("bits-per-byte")
class BitsPerByte(Metric):
    """The cross-entropy of the next token for each byte of text: of any tokens the same unit."""

    outputs = NextToken.outputs
    same_as = "next-token"

    def total(self, outcome: Outcome) -> Float[Tensor, ""]:
        """See `Metric`."""
        return NextToken().total(outcome.outputs, outcome.targets)

    def number(self, mean: float, bytes_per_token: float) -> float:
        """See `Metric`."""
        return mean / math.log(2) / bytes_per_token


@METRICS.register("loss")
class Loss(Metric):
    """What the objective makes small."""

    def total(self, outcome: Outcome) -> Float[Tensor, ""]:
        """See `Metric`."""
        return outcome.loss


class OwnMetric(Metric):
    """A user's own function of outputs and targets, which returns one number for each example.

    Lower is better; where higher is, write a subclass of `Metric`.

    Args:
        name: `module:name`.
        function: that has this name.
    """

    def __init__(self, name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.name = name
        self._function = function

    def total(self, outcome: Outcome) -> Float[Tensor, ""]:
        """See `Metric`."""
        return sum_of_each("metric", self.name, self._function, outcome.outputs, outcome.targets)


def find_metric(name: str, task: Task) -> Metric:
    """The metric of that name; arguments and errors as those of `find_objective`."""
    return check_outputs("metric", made(METRICS, name, Metric, OwnMetric), task)
