"""The training loop in PyTorch, for any model on any device."""

from collections.abc import Mapping
from typing import Literal, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wider.data import Moves, PreparedData, draw_moves, moved
from wider.errors import InputError
from wider.randomness import stream
from wider.training._engine import Engine
from wider.training._recipe import Recipe

EVALUATION_BATCH = 1000  # images; bounds the memory of an evaluation, not its result


class Trainer(Engine):
    """Trains through autograd; removed weights are stored and multiplied. See `Engine`."""

    name = "torch, masked"

    def __init__(self, model: nn.Module, data: PreparedData, recipe: Recipe, *, seed: int) -> None:
        super().__init__(model, data, recipe, seed=seed)
        if recipe.augmentation != "none" and data.black is None:
            raise InputError(
                f"augmentation {recipe.augmentation!r} pads images with black, and with "
                'normalisation "pixel" there is no such colour: use "channel" or "unit"'
            )
        self._start({})

    def update_model(self) -> None:
        """Nothing to do: the model itself is trained."""

    def _train_epoch(self, order: Int64[Tensor, " images"]) -> tuple[float, float]:
        images, labels = self._data.train_images, self._data.train_labels
        losses, hits = [], []
        self._net.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate
        moves = self._moves(len(order))
        size = self._recipe.batch_size
        for number, batch in enumerate(order.to(labels.device).split(size)):
            batch_images, batch_labels = images[batch], labels[batch]
            if moves is not None:
                own = moves.of(slice(number * size, (number + 1) * size))
                batch_images = moved(batch_images, own, cast(Tensor, self._data.black))
            scores = self._net(batch_images)
            loss = cross_entropy(scores, batch_labels)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            losses.append(loss.detach() * len(batch))
            hits.append((scores.detach().argmax(1) == batch_labels).sum())
        return _mean(losses, len(labels)), _mean(hits, len(labels))

    @torch.no_grad()
    def _evaluate(self, part: Literal["test", "validation"]) -> tuple[float, float]:
        images, labels = self._data.part(part)
        losses, hits = [], []
        self._net.eval()
        for batch, batch_labels in zip(
            images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True
        ):
            scores = self._net(batch)
            losses.append(cross_entropy(scores, batch_labels, reduction="sum"))
            hits.append((scores.argmax(1) == batch_labels).sum())
        return _mean(losses, len(labels)), _mean(hits, len(labels))

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

    def _moves(self, count: int) -> Moves | None:
        generator = stream(self._seed, "augmentation", len(self.history) + 1)
        return draw_moves(self._recipe.augmentation, count, generator=generator)


def _mean(sums: list[Float[Tensor, ""]], count: int) -> float:
    # One transfer from the device for the whole epoch, summed in double precision.
    return float(torch.stack(sums).double().sum()) / count if count else float("nan")
