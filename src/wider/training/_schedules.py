"""How the learning rate changes from step to step."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from wider.errors import InputError
from wider.fields import CountOrNone
from wider.own_code import find_own
from wider.registry import Described, SpecRegistry


class ScheduleSpec(Described):
    """A schedule that goes by step, with its options."""

    @abstractmethod
    def factor(self, step: int, num_steps: int) -> float:
        """What the learning rate is multiplied by.

        Args:
            step: counted from 0.
            num_steps: of the whole run.
        """


@dataclass(frozen=True)
class OwnSchedule(ScheduleSpec):
    """A user's own function of step, number of steps and the options, which returns the factor."""

    name: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def factor(self, step: int, num_steps: int) -> float:
        """See `ScheduleSpec`."""
        return number_of(
            self.name, "schedule", find_own(self.name)(step, num_steps, **self.options)
        )


SCHEDULES: SpecRegistry[ScheduleSpec] = SpecRegistry(
    "schedule", group="wider.schedules", own=OwnSchedule
)


@dataclass(frozen=True)
class _WarmUp(ScheduleSpec):
    """A linear rise, and what comes after it.

    Args:
        warm_up: steps of the rise: the first has 1/(warm_up + 1) of the full rate, and the one
            after them all of it.
    """

    warm_up: CountOrNone = 0

    def __post_init__(self) -> None:
        if self.warm_up < 0:
            raise InputError(f"warm_up is {self.warm_up}: use 0 or more steps")

    def factor(self, step: int, num_steps: int) -> float:
        """See `ScheduleSpec`."""
        if step < self.warm_up:
            return (step + 1) / (self.warm_up + 1)
        return self._after((step - self.warm_up) / (num_steps - self.warm_up))

    @abstractmethod
    def _after(self, passed: float) -> float:
        """The factor after the rise, of which that share has passed: from 0 to below 1."""


@SCHEDULES.register("warm-up-cosine")
@dataclass(frozen=True)
class WarmUpCosine(_WarmUp):
    """A linear rise, then half a cosine, to nothing after the last step."""

    def _after(self, passed: float) -> float:
        return (1 + math.cos(math.pi * passed)) / 2


@SCHEDULES.register("warm-up-linear")
@dataclass(frozen=True)
class WarmUpLinear(_WarmUp):
    """A linear rise, then a linear fall, to nothing after the last step."""

    def _after(self, passed: float) -> float:
        return 1 - passed


@SCHEDULES.register("constant")
@dataclass(frozen=True)
class Constant(_WarmUp):
    """A linear rise, then the full rate."""

    def _after(self, passed: float) -> float:  # noqa: ARG002 - always the same
        return 1.0


def number_of(name: str, noun: str, value: Any) -> float:
    """What a user's own function returned.

    Raises:
        InputError: it is not a finite number of 0 or more.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InputError(
            f"the {noun} {name!r} returned {value!r}: use a finite number of 0 or more"
        )
    return float(value)
