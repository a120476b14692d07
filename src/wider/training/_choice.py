"""Which engine trains which net."""

import warnings
from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from wider.data import InMemoryData, TrainingData
from wider.models import MLP
from wider.native import NO_KERNELS, is_available
from wider.sparsity import connectivity, count_weights, has_native_form
from wider.training._distributed import ALONE, Processes
from wider.training._engine import Engine
from wider.training._native import NativeTrainer
from wider.training._native_layers import NativeLayersTrainer
from wider.training._recipe import Recipe
from wider.training._scored import Precision
from wider.training._speed import SlowEngineWarning
from wider.training._trainer import Trainer

# A dense product of matrices this large keeps PyTorch's own kernels busy enough to win.
SMALL, SPARSE = 50_000, 0.2


def trainer_for(
    model: nn.Module,
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int,
    precision: Precision = "float32",
    processes: Processes = ALONE,
    shape: str | None = None,
) -> Engine:
    """The fastest engine that can train a net.

    On the CPU that is `NativeTrainer` for small or sparse MLPs, and `NativeLayersTrainer` for other
    nets with a layer that becomes native; else, in bfloat16 and on several processes `Trainer`.

    Args:
        model: the net, on the device of `data`.
        data: scaled examples with what is to be said of them.
        recipe: how to train.
        seed: of the order of the examples.
        precision: of products; see `Speed`.
        processes: that train this net.
        shape: see `Trainer`.

    Warns:
        SlowEngineWarning: there are no native kernels here, or the fastest engine for the net
            cannot do what the recipe asks for.
    """
    in_torch = partial(
        Trainer,
        model,
        data,
        recipe,
        seed=seed,
        precision=precision,
        processes=processes,
        shape=shape,
    )
    if precision != "float32" or processes.count > 1:
        return in_torch()
    fast = _native_engines(model, data, recipe)
    if fast and not is_available():
        _warn(
            "PyTorch trains this net: an MLP about 5 times slower at width 5 and 40 times at width "
            f"640, a ResNet-18 4 times at width 64. {NO_KERNELS}"
        )
        return in_torch()
    reasons = {engine: engine.reason_against(recipe, data.task) for engine in fast}
    able = next((engine for engine, reason in reasons.items() if reason is None), None)
    if against := [f"{engine.name}: {reason}" for engine, reason in reasons.items() if reason]:
        taken = Trainer if able is None else able
        _warn(
            f"the engine {taken.name!r} trains this net, more slowly than others would, which "
            f"cannot do what the recipe asks for ({'; '.join(against)})"
        )
    return in_torch() if able is None else able(model, data, recipe, seed=seed)


def _warn(message: str) -> None:
    warnings.warn(message, SlowEngineWarning, stacklevel=3)


def _native_engines(model: nn.Module, data: TrainingData, recipe: Recipe) -> Sequence[type[Engine]]:
    """Those that would be faster than PyTorch, the fastest one first, whatever they can do."""
    if not _can_train_natively(model, data):
        return []
    layers = [NativeLayersTrainer] if has_native_form(model) else []
    in_memory = isinstance(data, InMemoryData) and recipe.augmentation == "none"
    if in_memory and isinstance(model, MLP) and _is_plain(model):
        pays = pays_natively(count_weights(model), connectivity(model)[""])
        return [NativeTrainer, *layers] if pays else []
    return layers


def pays_natively(num_weights: int, net_connectivity: float) -> bool:
    """Whether native code trains an MLP of so many weights faster than PyTorch does."""
    return num_weights <= SMALL or net_connectivity <= SPARSE


def _is_plain(model: MLP) -> bool:
    """Whether every layer is one, not a bottleneck of two, and nothing is normalised."""
    return not model.norms and all(
        isinstance(layer, nn.Linear) for layer in (*model.hidden, model.output)
    )


def _can_train_natively(model: nn.Module, data: TrainingData) -> bool:
    on_cpu = data.device.type == "cpu"
    return on_cpu and all(parameter.dtype == torch.float32 for parameter in model.parameters())
