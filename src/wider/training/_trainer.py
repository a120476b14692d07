"""The training loop."""

import time
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wider.data import PreparedData
from wider.randomness import stream
from wider.training._history import Epoch, History
from wider.training._recipe import Recipe

EVALUATION_BATCH = 1000  # images; bounds the memory of an evaluation, not its result


class Trainer:
    """A model, its optimiser and its history, one epoch at a time (engine "torch", masked).

    Epoch k visits the images in an order drawn from a stream of its own, so a trainer that was
    given the state of another goes on exactly as that one would have.

    Args:
        model: the net to train, on the device of `data`.
        data: images and labels, normalised.
        recipe: how to train.
        seed: of the order of the images.
    """

    def __init__(self, model: nn.Module, data: PreparedData, recipe: Recipe, *, seed: int) -> None:
        self.model = model
        self.history = History()
        self._data = data
        self._recipe = recipe
        self._seed = seed
        self._optimizer = torch.optim.SGD(
            model.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the loss is no longer finite."""
        return len(self.history) >= self._recipe.epochs or self.history.diverged

    def run_epoch(self) -> Epoch:
        """Trains for one epoch, evaluates, and adds a row to the history."""
        start = time.perf_counter()
        number = len(self.history) + 1
        train_loss, train_accuracy = self._train_epoch(number)
        test_loss, test_accuracy = self._evaluate(self._data.test_images, self._data.test_labels)
        _, validation_accuracy = self._evaluate(
            self._data.validation_images, self._data.validation_labels
        )
        row = Epoch(
            epoch=number,
            learning_rate=self._recipe.learning_rate,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            validation_accuracy=validation_accuracy,
            seconds=time.perf_counter() - start,
        )
        self.history = History((*self.history, row))
        return row

    def state(self) -> dict[str, Tensor]:
        """Everything that the next epoch depends on, as named tensors on the CPU."""
        momentum = {
            f"momentum.{name}": self._optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.model.named_parameters()
            if self._recipe.momentum and parameter in self._optimizer.state
        }
        model = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors = {**model, **momentum, "history": self.history.to_tensor()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what `state` returned.

        Raises:
            KeyError, RuntimeError: it is the state of another model.
        """
        self.model.load_state_dict(
            {
                name.removeprefix("model."): value
                for name, value in state.items()
                if name.startswith("model.")
            }
        )
        for name, parameter in self.model.named_parameters():
            if f"momentum.{name}" in state:
                buffer = state[f"momentum.{name}"].to(parameter.device, copy=True)
                self._optimizer.state[parameter]["momentum_buffer"] = buffer
        self.history = History.from_tensor(state["history"])

    def _train_epoch(self, number: int) -> tuple[float, float]:
        images, labels = self._data.train_images, self._data.train_labels
        order = torch.randperm(len(labels), generator=stream(self._seed, "data order", number))
        losses, hits = [], []
        self.model.train()
        for batch in order.to(labels.device).split(self._recipe.batch_size):
            batch_labels = labels[batch]
            scores = self.model(images[batch])
            loss = cross_entropy(scores, batch_labels)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            losses.append(loss.detach() * len(batch))
            hits.append((scores.detach().argmax(1) == batch_labels).sum())
        return _mean(losses, len(labels)), _mean(hits, len(labels))

    @torch.no_grad()
    def _evaluate(
        self,
        images: Float[Tensor, "images channels height width"],
        labels: Int64[Tensor, " images"],
    ) -> tuple[float, float]:
        """Mean loss and accuracy; NaN where there are no images."""
        losses, hits = [], []
        self.model.eval()
        for batch, batch_labels in zip(
            images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True
        ):
            scores = self.model(batch)
            losses.append(cross_entropy(scores, batch_labels, reduction="sum"))
            hits.append((scores.argmax(1) == batch_labels).sum())
        return _mean(losses, len(labels)), _mean(hits, len(labels))


def _mean(sums: list[Float[Tensor, ""]], count: int) -> float:
    # One transfer from the device for the whole epoch, summed in double precision.
    return float(torch.stack(sums).double().sum()) / count if count else float("nan")
