"""What every trainer has in common."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from wider.data import Part, TrainingData
from wider.tasks import Task
from wider.training._distributed import ALONE, Processes
from wider.training._history import Epoch, History
from wider.training._metrics import ACCURACY
from wider.training._optimiser_state import Slots, named, slots_in
from wider.training._recipe import Recipe
from wider.training._rounds import Rounds, Stretch
from wider.training._running import RunningRound
from wider.training._schedules import ScheduleSpec


class Means(NamedTuple):
    """Over the examples of a part; NaN where there are none.

    Attributes:
        loss: of the objective.
        accuracy: share that is recognised; NaN where nothing is.
        metric: as it is told; NaN where that is the accuracy.
    """

    loss: float
    accuracy: float
    metric: float


class Engine(ABC):
    """A model, its optimiser and its history, one round at a time: an epoch, or some steps.

    Each permutation of the examples is drawn from a stream of its own, so an engine that was given
    the state of another, of its own kind or not, goes on as that one would have, also with the next
    step of a round that had begun.

    Attributes:
        name: what computes the steps, and whether removed weights are multiplied (masked) or not
            stored at all (native).
        model: the net in training.
        history: the rounds so far.
        metric: what is told of them beside the loss and the accuracy.

    Args:
        model: the net to train, on the device of `data`.
        data: scaled examples with what is to be said of them.
        recipe: how to train.
        seed: of the order of the examples.
        processes: that train this net, each with an engine of its own.
    """

    name: str

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        recipe: Recipe,
        *,
        seed: int,
        processes: Processes = ALONE,
    ) -> None:
        self.model = model
        self.history = History()
        self._data = data
        self._recipe = recipe
        self._objective = recipe.objective_for(data.task)
        self.metric = recipe.metric_for(data.task)
        self._seed = seed
        self._processes = processes
        self._rounds = Rounds(recipe, data.count("train"), seed)
        self._running = RunningRound()

    @classmethod
    @abstractmethod
    def reason_against(cls, recipe: Recipe, task: Task) -> str | None:
        """Why an engine of this kind cannot train so, in a few words; None where it can.

        Args:
            recipe: how to train.
            task: of the data.
        """

    @property
    def finished(self) -> bool:
        """Whether all rounds are done, or the loss is no longer finite."""
        return len(self.history) >= self._recipe.num_rounds or self.history.diverged

    @property
    def _round(self) -> int:
        """The number of the running round, from 1."""
        return len(self.history) + 1

    @property
    def _step(self) -> int:
        """The number of the next step in the whole run, from 0."""
        return self._rounds.steps_before(self._round, self._running.visited)

    @property
    def _num_evaluated(self) -> int:
        return self._data.count("test") + self._data.count("validation")

    def _factor(self, step: int) -> float:
        """What the schedule multiplies the learning rate by in a step of the running round."""
        schedule = self._recipe.schedule
        if isinstance(schedule, ScheduleSpec):
            return schedule.factor(step, self._rounds.num_steps)
        return self._recipe.factor_in(self._round)

    def _learning_rate(self, step: int) -> float:
        """The same of the learning rate itself, before layer rates; NaN where it is not known."""
        rate = self._recipe.optimiser_spec.learning_rate
        return math.nan if rate is None else rate * self._factor(step)

    def run_epoch(self, on_step: Callable[[float], None] = lambda _: None) -> Epoch:
        """Trains for one round, or the rest of one, evaluates, and adds a row to the history.

        Args:
            on_step: called after each step, or in native code after some tenths of a second of
                them. It may take the state, and what it raises leaves a round that can be gone on
                with. It is told for how many seconds at most it will not be called: an estimate
                before the evaluation, else 0.
        """
        running, number = self._running, self._round
        num_examples = self._rounds.examples_in(number)
        start = time.perf_counter() - running.seconds
        for stretch in self._rounds.stretches(number, running.visited):
            for _ in self._steps(stretch):
                running.seconds = time.perf_counter() - start
                # To evaluate an example takes less than to train on it.
                evaluation = running.seconds * self._num_evaluated / num_examples
                on_step(evaluation if running.visited == num_examples else 0.0)
        train, test, validation = self._trained(), *map(self._evaluate, ("test", "validation"))
        row = Epoch(
            epoch=number,
            learning_rate=self._learning_rate(self._step - 1),
            train_loss=train.loss,
            train_accuracy=train.accuracy,
            test_loss=test.loss,
            test_accuracy=test.accuracy,
            validation_accuracy=validation.accuracy,
            seconds=time.perf_counter() - start,
            train_metric=train.metric,
            test_metric=test.metric,
            validation_metric=validation.metric,
        )
        self.history = History((*self.history, row))
        self._running = RunningRound()
        return row

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, as named tensors on the CPU.

        Each process has to call it, and the first one's state is that of all.
        """
        self.update_model()
        model = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        num_examples = self._rounds.examples_in(self._round) + self._num_evaluated
        running = self._running.to_tensors(num_examples, self._processes)
        history = {"history": self.history.to_tensor()}
        tensors = {**model, **named(self._slots()), **running, **history}
        # A copy, also on the CPU: the next step must not change what was taken before it. In the
        # order of its dimensions, whatever the order in memory was.
        order = torch.contiguous_format
        return {
            name: tensor.detach().cpu().clone(memory_format=order)
            for name, tensor in tensors.items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what `state` returned.

        Raises:
            KeyError, RuntimeError: it is the state of another model.
        """
        model = "model."
        self.model.load_state_dict(
            {
                name.removeprefix(model): value
                for name, value in state.items()
                if name.startswith(model)
            }
        )
        self._restart(slots_in(state))
        self.history = History.from_tensor(state["history"])
        self._running = RunningRound.from_tensors(state, self._processes, self._data.device)

    @abstractmethod
    def update_model(self) -> None:
        """Brings the weights of `model` up to date."""

    @abstractmethod
    def _steps(self, stretch: Stretch) -> Iterator[None]:
        """Visits what is to be visited of a stretch, and comes back after whole batches."""

    @abstractmethod
    def _trained(self) -> Means:
        """Ends the steps; of each example before its own step."""

    @abstractmethod
    def _evaluate(self, part: Part) -> Means:
        """Of the "test" or "validation" examples."""

    @abstractmethod
    def _slots(self) -> Slots:
        """What the optimiser remembers of each parameter, as the model calls it."""

    @abstractmethod
    def _restart(self, slots: Slots) -> None:
        """Goes on from the weights that `model` has now, and from what an optimiser remembered."""

    def _means(self, loss: float, accuracy: float, metric: float, part: Part) -> Means:
        """From the means of the sums that a net gives."""
        if self.metric.name == ACCURACY:
            return Means(loss, accuracy, math.nan)
        told = self.metric.number(metric, self._data.bytes_per_token(part))
        return Means(loss, accuracy, told)
