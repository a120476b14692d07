"""How a net is trained, as data."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from wider.columns import Column, Role
from wider.data import Augmentation
from wider.described import FromTable
from wider.fields import Count
from wider.own_code import is_own
from wider.tasks import Task
from wider.training._layer_rates import LAYER_RATES, LayerRatesSpec
from wider.training._metrics import METRICS, Metric, find_metric
from wider.training._objectives import OBJECTIVES, Objective, find_objective
from wider.training._optimisers import OPTIMISERS, SGD, OptimiserSpec
from wider.training._schedules import SCHEDULES, ScheduleSpec

DECAY = 0.1  # of the learning rate at each milestone

ByEpoch = Literal["steps", "cosine"]
BY_EPOCH = get_args(ByEpoch)
OF_SGD = ("learning_rate", "momentum", "weight_decay")

READ_OPTIMISER = FromTable(OPTIMISERS)


def _read_schedule(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(value, str) or is_own(value) or value in SCHEDULES:
        return read(value)
    if value not in BY_EPOCH:
        raise ValueError(
            f"unknown schedule {value!r}; use {' or '.join(map(repr, BY_EPOCH))}, which go by "
            f"epoch, or by step {', '.join(map(repr, SCHEDULES))}, or MODULE:NAME for your own"
        )
    return value


def _schedule_as_written(schedule: ByEpoch | ScheduleSpec) -> Any:
    return schedule.table if isinstance(schedule, ScheduleSpec) else schedule


Schedule = Annotated[
    ByEpoch | ScheduleSpec,
    FromTable(SCHEDULES),
    WrapValidator(_read_schedule),
    PlainSerializer(_schedule_as_written),
]


class Recipe(BaseModel):
    """An optimiser, a schedule and an objective; no early stopping.

    By default plain stochastic gradient descent on the objective of the data. Its optimiser SGD is
    `optimiser = { name = "sgd", ... }`, or the same options as fields of the recipe.

    Source:
        Golubeva et al. 2021, Appendix A. The defaults are those of Figure 4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: Count = 300
    """Passes over the training examples."""
    batch_size: Count = 100
    """Examples a step; the last batch of an epoch may be smaller."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Step size of SGD."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum of SGD."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """L2 penalty of SGD, on weights and biases alike."""
    schedule: Schedule = "steps"
    """How the learning rate falls. steps: at the milestones; cosine: every epoch, along half a
    cosine, to nothing after the last one; others go by step."""
    milestones: tuple[Count, ...] = ()
    """steps: epochs after which the learning rate falls to a tenth."""
    augmentation: Augmentation = "none"
    """What is done to a training image each time that it is used. crop: moved by up to 4 pixels;
    crop-flip: also turned around, every second time; resized-crop, for large images only: a part of
    at least a fifth of the image, brought to full size."""
    optimiser: Annotated[OptimiserSpec, FromTable(OPTIMISERS)] | None = None
    """Another optimiser than SGD, with its own learning rate."""
    steps: Count | None = None
    """Length of the run in steps, in place of epochs; all batches are full."""
    evaluate_every: Count | None = None
    """steps: after how many there is an evaluation; by default after the last one only."""
    objective: str | None = None
    """What training makes small; by default what belongs to the data."""
    metric: Annotated[str | None, Column(Role.FAMILY)] = None
    """What is told of a run beside its loss; by default what belongs to the objective."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Longest gradient, of all parameters together; one that is longer is shortened to it."""
    accumulate: Count = 1
    """Parts in which a batch is computed, to need less memory; BatchNorm normalises each part."""
    layer_rates: Annotated[LayerRatesSpec, FromTable(LAYER_RATES)] | None = None
    """What the learning rate of each layer is multiplied by."""

    @property
    def optimiser_spec(self) -> OptimiserSpec:
        """The optimiser, SGD with the recipe's own fields where no other is named."""
        return self.optimiser or SGD(**{name: getattr(self, name) for name in OF_SGD})

    @property
    def unused(self) -> set[str]:
        """Fields of which others have the say: those of SGD, or epochs."""
        of_sgd = OF_SGD if self.optimiser is not None else ()
        return {*of_sgd, *(["epochs"] if self.steps is not None else [])}

    @property
    def num_rounds(self) -> int:
        """Rows of the history of a whole run: epochs, or evaluations where it counts steps."""
        return self.epochs if self.steps is None else -(-self.steps // self.steps_a_round)

    @property
    def steps_a_round(self) -> int:
        """Between evaluations, where the recipe counts steps; 0 where it counts epochs."""
        return self.evaluate_every or self.steps or 0

    def objective_for(self, task: Task) -> Objective:
        """The objective.

        Args:
            task: of the data.

        Raises:
            InputError: there is none of its name, or it is for other tasks.
        """
        return find_objective(self.objective or task.objective, task)

    def metric_for(self, task: Task) -> Metric:
        """The metric; argument and errors as those of `objective_for`."""
        return find_metric(self.metric or self.objective_for(task).metric, task)

    def factor_in(self, epoch: int) -> float:
        """What the learning rate of an epoch, counted from 1, is multiplied by.

        Raises:
            ValueError: the schedule goes by step.
        """
        if isinstance(self.schedule, ScheduleSpec):
            raise ValueError(f"the schedule {self.schedule.name!r} goes by step, not by epoch")
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * (epoch - 1) / self.epochs)) / 2
        return DECAY ** sum(passed < epoch for passed in self.milestones)

    def learning_rate_in(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 1, where the schedule goes by epoch."""
        return (self.optimiser_spec.learning_rate or math.nan) * self.factor_in(epoch)

    @field_validator("objective", "metric")
    @classmethod
    def _is_known(cls, name: str | None, field: ValidationInfo) -> str | None:
        registry = OBJECTIVES if field.field_name == "objective" else METRICS
        if name is not None and not is_own(name):  # a user's own code is imported when it is needed
            registry.find(name)
        return name

    @model_validator(mode="before")
    @classmethod
    def _sgd_is_told_by_fields(cls, values: Any) -> Any:
        """A table of SGD becomes the fields of that name: one run has one spec."""
        if not isinstance(values, Mapping) or values.get("optimiser") is None:
            return values
        try:
            optimiser = READ_OPTIMISER.read(values["optimiser"])
        except ValueError:
            return values  # told of, with its place, when the field is read
        if not isinstance(optimiser, SGD):
            return values
        cls._check_told_once({name: values[name] for name in OF_SGD if name in values})
        own = {name: getattr(optimiser, name) for name in OF_SGD}
        return {**values, "optimiser": None, **own}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.optimiser is not None:
            self._check_told_once({name: getattr(self, name) for name in OF_SGD})
        self._check_schedule()
        self._check_length()
        return self

    @classmethod
    def _check_told_once(cls, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if value != cls.model_fields[name].default:
                raise ValueError(
                    f"{name} is {value!r}, but there is a table of an optimiser: put it there, or "
                    "leave the table out"
                )

    def _check_schedule(self) -> None:
        schedule = self.schedule
        name = schedule.name if isinstance(schedule, ScheduleSpec) else schedule
        if schedule != "steps" and self.milestones:
            raise ValueError(
                f"milestones are {self.milestones}, but the {name} schedule has none: "
                'leave them out or use schedule "steps"'
            )
        changes = {
            f"the {name} schedule": schedule != "steps" or self.milestones,
            "layer_rates": self.layer_rates is not None,
        }
        changed = next((what for what, holds in changes.items() if holds), None)
        if changed and self.optimiser_spec.learning_rate is None:
            raise ValueError(
                f"{changed} would change the learning rate, but the options of the optimiser "
                f'{self.optimiser_spec.name!r} have no "lr": give one'
            )

    def _check_length(self) -> None:
        if self.steps is None:
            if self.evaluate_every is not None:
                raise ValueError(
                    f"evaluate_every is {self.evaluate_every} steps, but the length is in epochs, "
                    "each of which ends with an evaluation: leave it out or use steps"
                )
            return
        if self.epochs != type(self).model_fields["epochs"].default:
            raise ValueError(
                f"steps is {self.steps} and epochs is {self.epochs}: a run has one length, so "
                "leave one of them out"
            )
        if self.schedule == "cosine" or self.milestones:
            raise ValueError(
                f"the {self.schedule} schedule goes by epoch, but the length is in steps: use "
                'schedule = { name = "warm-up-cosine" } or another that goes by step'
            )
