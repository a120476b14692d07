"""The same training with native layers inside an ordinary net, for any net on the CPU."""

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from wider.data import TrainingData
from wider.native import SparseLayer
from wider.sparsity import layer_shapes, make_native, mask_of, to_masked
from wider.training._recipe import Recipe
from wider.training._trainer import Trainer


class NativeLayersTrainer(Trainer):
    """Trains a net whose sparse layers and BatchNorm compute natively; see `to_native`.

    Same masks, initial weights, order and moves of images as `Trainer`, same history to float32
    rounding, same state. `model` is brought up to date by `update_model` and `state`. See `Engine`.
    """

    name = "native layers"

    def __init__(self, model: nn.Module, data: TrainingData, recipe: Recipe, *, seed: int) -> None:
        super().__init__(model, data, recipe, seed=seed)

    def update_model(self) -> None:
        """Copies weights and running statistics back into the model."""
        self.model.load_state_dict(to_masked(copy.deepcopy(self._net)).state_dict())

    def _computing_net(self) -> nn.Module:
        one = layer_shapes(self.model, self._data.task.zeros())
        batch = self._recipe.batch_size
        shapes = {name: (size[0] * batch, *size[1:]) for name, size in one.items()}
        return make_native(copy.deepcopy(self.model), shapes)

    def _momentum(self) -> dict[str, Tensor]:
        momentum = super()._momentum()
        for name, layer in self._net.named_modules():
            if isinstance(layer, SparseLayer) and (key := _native_name(name)) in momentum:
                momentum[_masked_name(name)] = layer.spread(momentum.pop(key))
        return momentum

    def _restart(self, momentum: Mapping[str, Tensor]) -> None:
        # Of a layer that stays masked, what is added here has no taker.
        native = {
            _native_name(name): momentum[key][mask].unsqueeze(1)
            for name, layer in self.model.named_modules()
            if (mask := mask_of(layer)) is not None and (key := _masked_name(name)) in momentum
        }
        super()._restart({**momentum, **native})


def _native_name(layer: str) -> str:
    return f"{layer}.values".removeprefix(".")


def _masked_name(layer: str) -> str:
    return f"{layer}.parametrizations.weight.original".removeprefix(".")
