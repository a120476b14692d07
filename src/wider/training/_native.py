"""The same training in native code, for MLPs on the CPU."""

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from wider.data import Part, PreparedData
from wider.models import MLP, NTKLinear
from wider.native import Images, LinearLayer, SparseMLP
from wider.sparsity import count_weights, mask_of, stored_weight
from wider.training._engine import Engine
from wider.training._recipe import Recipe

# Numbers times images in a call, which then takes some tenths of a second.
WORK = 2**28
LANES = 16  # a smaller batch takes as long


class NativeTrainer(Engine):
    """Trains an MLP with time and memory that follow its non-zero weights.

    Same masks, initial weights and order of images as `Trainer`, same history to float32
    rounding, same state. `model` is brought up to date by `update_model` and `state`. See `Engine`.
    """

    name = "native"
    model: MLP

    def __init__(self, model: MLP, data: PreparedData, recipe: Recipe, *, seed: int) -> None:
        super().__init__(model, data, recipe, seed=seed)
        self._images = {part: _images(*data.part(part)) for part in ("train", "test", "validation")}
        self._layers = [cast(nn.Linear, layer) for layer in (*model.hidden, model.output)]
        numbers = count_weights(model) + data.task.numbers_in
        batches = WORK // (numbers * max(recipe.batch_size, LANES))
        self._images_a_call = recipe.batch_size * max(1, batches)
        self._restart({})

    def update_model(self) -> None:
        """Copies the weights back into the model."""
        with torch.no_grad():
            for layer, weight in zip(self._layers, self._net.weights(), strict=True):
                stored_weight(layer).copy_(torch.from_numpy(weight))
            for layer, bias in zip(self._layers, self._net.biases(), strict=False):
                layer.bias.copy_(torch.from_numpy(bias))

    def _steps(self, order: Int64[Tensor, " images"]) -> Iterator[None]:
        recipe, running = self._recipe, self._running
        for start in range(running.visited, len(order), self._images_a_call):
            visited = order[start : start + self._images_a_call]
            loss, hits = self._net.train_epoch(
                self._images["train"],
                visited.numpy(),
                learning_rate=self._learning_rate,
                momentum=recipe.momentum,
                weight_decay=recipe.weight_decay,
                before=self._sums(),
            )
            running.losses = [torch.tensor(loss, dtype=torch.float64)]
            running.hits = [torch.tensor(hits)]
            running.visited += len(visited)
            yield

    def _trained(self) -> tuple[float, float]:
        loss, hits = self._sums()
        return loss / self._running.visited, hits / self._running.visited

    def _sums(self) -> tuple[float, int]:
        return sum(map(float, self._running.losses)), sum(map(int, self._running.hits))

    def _evaluate(self, part: Part) -> tuple[float, float]:
        return self._net.evaluate(self._images[part])

    def _momentum(self) -> dict[str, Tensor]:
        if not self._recipe.momentum or not (self.history or self._running.visited):
            return {}
        weights, biases = self._net.velocities()
        names = self._parameter_names()
        arrays = zip(names, [*weights, *biases], strict=True)
        return {name: torch.from_numpy(array) for name, array in arrays}

    def _restart(self, momentum: Mapping[str, Tensor]) -> None:
        self._net = SparseMLP(
            [_described(layer) for layer in self._layers],
            relu=self.model.activation_name == "relu",
            batch_size=self._recipe.batch_size,
        )
        if momentum:
            arrays = [momentum[name].numpy() for name in self._parameter_names()]
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
