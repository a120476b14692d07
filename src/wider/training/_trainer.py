"""The training loop in PyTorch, for any model on any device."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wider.data import Part, TrainingData
from wider.randomness import stream
from wider.training._engine import Engine
from wider.training._recipe import Recipe

EVALUATION_BATCH = 1000  # images; bounds the memory of an evaluation, not its result


class Trainer(Engine):
    """Trains through autograd; removed weights are stored and multiplied. See `Engine`."""

    name = "torch, masked"

    def __init__(self, model: nn.Module, data: TrainingData, recipe: Recipe, *, seed: int) -> None:
        super().__init__(model, data, recipe, seed=seed)
        data.check_augmentation(recipe.augmentation)
        self._start({})

    def update_model(self) -> None:
        """Nothing to do: the model itself is trained."""

    def _train_epoch(self, order: Int64[Tensor, " images"]) -> tuple[float, float]:
        losses, hits = [], []
        self._net.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate
        for images, labels in self._data.train_batches(
            order,
            batch_size=self._recipe.batch_size,
            augmentation=self._recipe.augmentation,
            generator=stream(self._seed, "augmentation", len(self.history) + 1),
        ):
            scores = self._net(images)
            loss = cross_entropy(scores, labels)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            losses.append(loss.detach() * len(labels))
            hits.append((scores.detach().argmax(1) == labels).sum())
        return _mean(losses, len(order)), _mean(hits, len(order))

    @torch.no_grad()
    def _evaluate(self, part: Part) -> tuple[float, float]:
        losses, hits = [], []
        self._net.eval()
        for images, labels in self._data.batches(part, batch_size=EVALUATION_BATCH):
            scores = self._net(images)
            losses.append(cross_entropy(scores, labels, reduction="sum"))
            hits.append((scores.argmax(1) == labels).sum())
        count = self._data.count(part)
        return _mean(losses, count), _mean(hits, count)

    def _momentum(self) -> dict[str, Tensor]:
        return {
            name: self._optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self._net.named_parameters()
            if self._recipe.momentum and parameter in self._optimizer.state
        }

    def _restart(self, momentum: Mapping[str, Tensor]) -> None:
        self._start(momentum)

    def _computing_net(self) -> nn.Module:
        """The net that the steps change."""
        return self.model

    def _start(self, momentum: Mapping[str, Tensor]) -> None:
        self._net, recipe = self._computing_net(), self._recipe
        self._optimizer = torch.optim.SGD(
            self._net.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        for name, parameter in self._net.named_parameters():
            if name in momentum:
                buffer = momentum[name].to(parameter.device, copy=True)
                self._optimizer.state[parameter]["momentum_buffer"] = buffer


def _mean(sums: list[Float[Tensor, ""]], count: int) -> float:
    # One transfer from the device for the whole epoch, summed in double precision.
    return float(torch.stack(sums).double().sum()) / count if count else float("nan")
