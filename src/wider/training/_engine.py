"""What every trainer has in common."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from wider.data import Part, TrainingData
from wider.randomness import stream
from wider.training._distributed import ALONE, Processes
from wider.training._history import Epoch, History
from wider.training._recipe import Recipe
from wider.training._running import RunningEpoch


class Engine(ABC):
    """A model, its optimiser and its history, one epoch at a time.

    Epoch k visits the images in an order drawn from a stream of its own, so an engine that was
    given the state of another, of its own kind or not, goes on as that one would have, also with
    the next step of an epoch that had begun.

    Attributes:
        name: what computes the steps, and whether removed weights are multiplied (masked) or not
            stored at all (native).
        model: the net in training.
        history: the epochs so far.

    Args:
        model: the net to train, on the device of `data`.
        data: images and labels, normalised.
        recipe: how to train.
        seed: of the order of the images.
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
        self._seed = seed
        self._processes = processes
        self._running = RunningEpoch()

    metric = SimpleNamespace(name="accuracy", higher_is_better=True)  # TODO

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the loss is no longer finite."""
        return len(self.history) >= self._recipe.epochs or self.history.diverged

    @property
    def _learning_rate(self) -> float:
        """That of the epoch after those in the history."""
        return self._recipe.learning_rate_in(len(self.history) + 1)

    @property
    def _num_evaluated(self) -> int:
        return self._data.count("test") + self._data.count("validation")

    def run_epoch(self, on_step: Callable[[float], None] = lambda _: None) -> Epoch:
        """Trains for one epoch, or the rest of one, evaluates, and adds a row to the history.

        Args:
            on_step: called after each step, or in native code after some tenths of a second of
                them. It may take the state, and what it raises leaves an epoch that can be gone on
                with. It is told for how many seconds at most it will not be called: an estimate
                before the evaluation, else 0.
        """
        running, number = self._running, len(self.history) + 1
        start = time.perf_counter() - running.seconds
        order = torch.randperm(
            self._data.count("train"), generator=stream(self._seed, "data order", number)
        )
        for _ in self._steps(order):
            running.seconds = time.perf_counter() - start
            # To evaluate an image takes less than to train on it.
            evaluation = running.seconds * self._num_evaluated / len(order)
            on_step(evaluation if running.visited == len(order) else 0.0)
        train_loss, train_accuracy = self._trained()
        test_loss, test_accuracy = self._evaluate("test")
        _, validation_accuracy = self._evaluate("validation")
        row = Epoch(
            epoch=number,
            learning_rate=self._learning_rate,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            validation_accuracy=validation_accuracy,
            seconds=time.perf_counter() - start,
        )
        self.history = History((*self.history, row))
        self._running = RunningEpoch()
        return row

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, as named tensors on the CPU.

        Each process has to call it, and the first one's state is that of all.
        """
        self.update_model()
        model = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        momentum = {f"momentum.{name}": value for name, value in self._momentum().items()}
        num_images = self._data.count("train") + self._num_evaluated
        epoch = self._running.to_tensors(num_images, self._processes)
        tensors = {**model, **momentum, **epoch, "history": self.history.to_tensor()}
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
        self.model.load_state_dict(_part(state, "model."))
        self._restart(_part(state, "momentum."))
        self.history = History.from_tensor(state["history"])
        self._running = RunningEpoch.from_tensors(state, self._processes, self._data.device)

    @abstractmethod
    def update_model(self) -> None:
        """Brings the weights of `model` up to date."""

    @abstractmethod
    def _steps(self, order: Int64[Tensor, " images"]) -> Iterator[None]:
        """Visits the images that the running epoch has not, and comes back after whole batches."""

    @abstractmethod
    def _trained(self) -> tuple[float, float]:
        """Ends the steps; mean loss and accuracy, each image's before its own step."""

    @abstractmethod
    def _evaluate(self, part: Part) -> tuple[float, float]:
        """Mean loss and accuracy on the "test" or "validation" images; NaN where there are none."""

    @abstractmethod
    def _momentum(self) -> dict[str, Tensor]:
        """The momentum of each parameter by its name; empty where there is none."""

    @abstractmethod
    def _restart(self, momentum: Mapping[str, Tensor]) -> None:
        """Goes on from the weights that `model` has now, and from this momentum."""


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
