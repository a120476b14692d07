"""Which part of the learning rate each layer has."""

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from wider.errors import InputError
from wider.own_code import find_own
from wider.registry import Described, SpecRegistry
from wider.sparsity import Matrix, all_matrices
from wider.tasks import Task
from wider.training._schedules import number_of

Kind = Literal["first", "hidden", "last", "other"]


@dataclass(frozen=True)
class Layer:
    """What the learning rate of a parameter can depend on.

    Attributes:
        name: of the layer; of the parameter where that is no weight of a layer.
        kind: "first" for what the examples go into, and "last" for what gives the outputs, both of
            weights; "other" for biases, embeddings and normalisation, and what is tied to them.
        fan_in: inputs of one output unit of the dense layer; 0 of others.
        connectivity: kept weights / weights of the dense layer; 1 of others.
    """

    name: str
    kind: Kind
    fan_in: int = 0
    connectivity: float = 1.0


class LayerRatesSpec(Described):
    """A rule of layer rates, with its options."""

    @abstractmethod
    def factor(self, layer: Layer) -> float:
        """What the learning rate is multiplied by."""


@dataclass(frozen=True)
class OwnLayerRates(LayerRatesSpec):
    """A user's own function of a `Layer` and the options, which returns the factor."""

    name: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def factor(self, layer: Layer) -> float:
        """See `LayerRatesSpec`."""
        return number_of(self.name, "layer rates", find_own(self.name)(layer, **self.options))


LAYER_RATES: SpecRegistry[LayerRatesSpec] = SpecRegistry(
    "layer rates", group="wider.layer_rates", own=OwnLayerRates
)


@LAYER_RATES.register("inverse-fan-in")
@dataclass(frozen=True)
class InverseFanIn(LayerRatesSpec):
    """Hidden layers learn more slowly the more inputs a unit keeps; the others as they are.

    Args:
        reference_fan_in: kept inputs at which a hidden layer has the whole learning rate.

    Source:
        Dey et al. 2024 (SuPar), reconstructed, and its rule for hidden layers alone.
    """

    reference_fan_in: Annotated[float, Field(gt=0)] = 64.0

    def __post_init__(self) -> None:
        if self.reference_fan_in <= 0:
            raise InputError(f"reference_fan_in is {self.reference_fan_in}: use more than 0")

    def factor(self, layer: Layer) -> float:
        """See `LayerRatesSpec`."""
        if layer.kind != "hidden":
            return 1.0
        return self.reference_fan_in / (layer.fan_in * layer.connectivity)


def layers_of(net: nn.Module, task: Task) -> dict[str, Layer]:
    """What is known of each parameter of a net, by its name.

    Args:
        net: dense or masked.
        task: that it is for.
    """
    weights = _weights(net)
    order = [*weights]
    layers = {}
    for name, parameter in net.named_parameters():
        if (found := weights.get(id(parameter))) is None:
            layers[name] = Layer(name, "other")
            continue
        matrix, connectivity = found
        place = order.index(id(parameter))
        kind: Kind = "hidden"
        # Tokens go into an embedding, and what is tied to one may give the outputs.
        if place == 0 and task.input != "tokens":
            kind = "first"
        fan_in, outputs = _fans(matrix)
        if kind == "hidden" and place == len(order) - 1 and outputs == task.num_outputs:
            kind = "last"
        layer = matrix.name.removesuffix(matrix.piece.suffix).removesuffix(".")
        layers[name] = Layer(layer, kind, fan_in, connectivity)
    return layers


def _fans(matrix: Matrix) -> tuple[int, int]:
    """Inputs of an output unit, and output units."""
    first, second, *kernel = matrix.shape
    # Transposed convolutions, and `Conv1D` of transformers, have their inputs first.
    is_transposed = getattr(matrix.module, "transposed", False)
    if is_transposed or type_before_parametrizations(matrix.module).__name__ == "Conv1D":
        groups = getattr(matrix.module, "groups", 1)
        first, second = second * groups, first // groups
    return second * math.prod(kernel), first


def _weights(net: nn.Module) -> dict[int, tuple[Matrix, float]]:
    """By the identity of each parameter: a matrix of it, and the connectivity of all in it."""
    embeddings = {
        id(part.weight)
        for part in net.modules()
        if isinstance(part, nn.Embedding | nn.EmbeddingBag)
    }
    by_parameter: dict[int, list[Matrix]] = {}
    for matrix in _counted_once(net):
        if id(matrix.stored) not in embeddings:
            by_parameter.setdefault(id(matrix.stored), []).append(matrix)
    return {
        key: (found[0], sum(each.kept for each in found) / sum(each.size for each in found))
        for key, found in by_parameter.items()
    }


def _counted_once(net: nn.Module) -> Iterator[Matrix]:
    """The matrices of a net, tied ones once."""
    seen = set()
    for matrix in all_matrices(net):
        if matrix.place not in seen:
            seen.add(matrix.place)
            yield matrix
