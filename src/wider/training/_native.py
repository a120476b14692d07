"""The same training in native code, for MLPs on the CPU."""

import math
from collections.abc import Iterator
from typing import cast

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from wider.data import InMemoryData, Part
from wider.models import MLP, NTKLinear
from wider.native import Images, LinearLayer, SparseMLP
from wider.sparsity import count_weights, mask_of, stored_weight
from wider.tasks import Task
from wider.training._engine import Engine, Means
from wider.training._metrics import ACCURACY
from wider.training._optimiser_state import MOMENTUM, Slots
from wider.training._optimisers import SGD
from wider.training._recipe import Recipe
from wider.training._rounds import Stretch
from wider.training._schedules import ScheduleSpec

# Numbers times examples in a call, which then takes some tenths of a second.
WORK = 2**28
LANES = 16  # a smaller batch takes as long


class NativeTrainer(Engine):
    """Trains an MLP with time and memory that follow its non-zero weights.

    Same masks, initial weights and order of images as `Trainer`, same history to float32
    rounding, same state. `model` is brought up to date by `update_model` and `state`. See `Engine`.
    """

    name = "native"
    model: MLP

    def __init__(self, model: MLP, data: InMemoryData, recipe: Recipe, *, seed: int) -> None:
        super().__init__(model, data, recipe, seed=seed)
        self._images = {part: _images(*data.part(part)) for part in ("train", "test", "validation")}
        self._layers = [cast(nn.Linear, layer) for layer in (*model.hidden, model.output)]
        numbers = count_weights(model) + data.task.numbers_in
        batches = WORK // (numbers * max(recipe.batch_size, LANES))
        self._images_a_call = recipe.batch_size * max(1, batches)
        self._restart({})

    @classmethod
    def reason_against(cls, recipe: Recipe, task: Task) -> str | None:
        """See `Engine`."""
        objective, metric = recipe.objective_for(task), recipe.metric_for(task)
        optimiser, schedule = recipe.optimiser_spec, recipe.schedule
        reasons = {
            f"the objective {objective.name!r}": objective.name != "cross-entropy",
            f"the metric {metric.name!r}": metric.name != ACCURACY,
            f"the optimiser {optimiser.name!r}": not isinstance(optimiser, SGD),
            "a schedule that goes by step": isinstance(schedule, ScheduleSpec),
            "clip_norm": recipe.clip_norm is not None,
            "layer_rates": recipe.layer_rates is not None,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def update_model(self) -> None:
        """Copies the weights back into the model."""
        with torch.no_grad():
            for layer, weight in zip(self._layers, self._net.weights(), strict=True):
                stored_weight(layer).copy_(torch.from_numpy(weight))
            for layer, bias in zip(self._layers, self._net.biases(), strict=False):
                layer.bias.copy_(torch.from_numpy(bias))

    def _steps(self, stretch: Stretch) -> Iterator[None]:
        running, optimiser = self._running, self._recipe.optimiser_spec
        assert isinstance(optimiser, SGD)
        for start in range(stretch.start, stretch.stop, self._images_a_call):
            visited = stretch.order[start : min(start + self._images_a_call, stretch.stop)]
            loss, hits = self._net.train_epoch(
                self._images["train"],
                visited.numpy(),
                learning_rate=self._learning_rate(self._step),
                momentum=optimiser.momentum,
                weight_decay=optimiser.weight_decay,
                before=self._sums(),
            )
            running.sums = [(torch.tensor(loss, dtype=torch.float64), torch.tensor(hits))]
            running.visited += len(visited)
            yield

    def _trained(self) -> Means:
        loss, hits = self._sums()
        visited = self._running.visited
        return Means(loss / visited, hits / visited, math.nan)

    def _sums(self) -> tuple[float, int]:
        losses, hits = zip(*self._running.sums, strict=True) if self._running.sums else ((), ())
        return sum(map(float, losses)), sum(map(int, hits))

    def _evaluate(self, part: Part) -> Means:
        return Means(*self._net.evaluate(self._images[part]), math.nan)

    def _slots(self) -> Slots:
        if not self._recipe.momentum or not (self.history or self._running.visited):
            return {}
        weights, biases = self._net.velocities()
        names = self._parameter_names()
        arrays = zip(names, [*weights, *biases], strict=True)
        return {name: {MOMENTUM: torch.from_numpy(array)} for name, array in arrays}

    def _restart(self, slots: Slots) -> None:
        self._net = SparseMLP(
            [_described(layer) for layer in self._layers],
            relu=self.model.activation_name == "relu",
            batch_size=self._recipe.batch_size,
        )
        if slots:
            arrays = [slots[name][MOMENTUM].numpy() for name in self._parameter_names()]
            count = len(self._layers)
            self._net.set_velocities(arrays[:count], arrays[count:])

    def _parameter_names(self) -> list[str]:
        """Of all weights, then of all biases, as the model calls them."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        parameters = [stored_weight(layer) for layer in self._layers]
        parameters += [layer.bias for layer in self._layers if layer.bias is not None]
        return [names[id(parameter)] for parameter in parameters]


def _images(
    images: Float32[Tensor, "images channels height width"], labels: Int64[Tensor, " images"]
) -> Images:
    return Images(images.flatten(1).numpy(), labels.numpy())


def _described(layer: nn.Linear) -> LinearLayer:
    mask = mask_of(layer)
    return LinearLayer(
        weight=stored_weight(layer).detach().numpy(),
        mask=None if mask is None else mask.numpy(),
        bias=None if layer.bias is None else layer.bias.detach().numpy(),
        scale=layer.in_features**-0.5 if isinstance(layer, NTKLinear) else 1.0,
    )
