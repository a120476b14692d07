"""The same training with native layers inside an ordinary net, for any net on the CPU."""

import copy

from torch import nn

from wider.data import TrainingData
from wider.native import SparseLayer
from wider.sparsity import layer_shapes, make_native, mask_of, to_masked
from wider.tasks import Task
from wider.training._optimiser_state import Slots
from wider.training._recipe import Recipe
from wider.training._trainer import Trainer


class NativeLayersTrainer(Trainer):
    """Trains a net whose sparse layers and BatchNorm compute natively; see `to_native`.

    Same masks, initial weights, order and moves of examples as `Trainer`, same history to float32
    rounding, same state. `model` is brought up to date by `update_model` and `state`. See `Engine`.
    """

    name = "native layers"

    def __init__(self, model: nn.Module, data: TrainingData, recipe: Recipe, *, seed: int) -> None:
        super().__init__(model, data, recipe, seed=seed)

    @classmethod
    def reason_against(cls, recipe: Recipe, task: Task) -> str | None:  # noqa: ARG003 - of any
        """See `Engine`."""
        optimiser = recipe.optimiser_spec
        if optimiser.is_elementwise:
            return None
        return f"the optimiser {optimiser.name!r}, which may mix the entries of a weight"

    def update_model(self) -> None:
        """Copies weights and running statistics back into the model."""
        self.model.load_state_dict(to_masked(copy.deepcopy(self._net)).state_dict())

    def _computing_net(self) -> nn.Module:
        one = layer_shapes(self.model, self._data.task.zeros())
        batch = -(-self._recipe.batch_size // self._recipe.accumulate)
        shapes = {name: (size[0] * batch, *size[1:]) for name, size in one.items()}
        return make_native(copy.deepcopy(self.model), shapes)

    def _slots(self) -> Slots:
        slots: Slots = {}
        for name, own in super()._slots().items():
            layer = self._native_layer(name)
            slots[self._name_in_model(name)] = {
                slot: layer.spread(tensor)
                if layer and tensor.shape == layer.values.shape
                else tensor
                for slot, tensor in own.items()
            }
        return slots

    def _restart(self, slots: Slots) -> None:
        # Of a layer that stays masked, what is added here has no taker.
        native = {
            f"{name}.values".removeprefix("."): {
                slot: tensor[mask].unsqueeze(1) if tensor.shape == mask.shape else tensor
                for slot, tensor in slots[key].items()
            }
            for name, layer in self.model.named_modules()
            if (mask := mask_of(layer)) is not None and (key := _masked_name(name)) in slots
        }
        super()._restart({**slots, **native})

    def _name_in_model(self, parameter: str) -> str:
        return _masked_name(_layer_name(parameter)) if self._native_layer(parameter) else parameter

    def _native_layer(self, parameter: str) -> SparseLayer | None:
        """The native layer whose weights a parameter is."""
        layer = self._net.get_submodule(_layer_name(parameter))
        return layer if isinstance(layer, SparseLayer) and parameter.endswith("values") else None


def _layer_name(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _masked_name(layer: str) -> str:
    return f"{layer}.parametrizations.weight.original".removeprefix(".")
