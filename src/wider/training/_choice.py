"""Which engine trains which net."""

import warnings

import torch
from torch import nn

from wider.data import PreparedData
from wider.models import MLP
from wider.native import is_available
from wider.sparsity import connectivity, count_weights
from wider.training._engine import Engine
from wider.training._native import NativeTrainer
from wider.training._recipe import Recipe
from wider.training._trainer import Trainer

# A dense product of matrices this large keeps PyTorch's own kernels busy enough to win.
SMALL, SPARSE = 50_000, 0.2


class SlowEngineWarning(UserWarning):
    """Training is slower than it could be; the message says why and by how much."""


def trainer_for(model: nn.Module, data: PreparedData, recipe: Recipe, *, seed: int) -> Engine:
    """The fastest engine that can train a net: native for small or sparse MLPs on the CPU.

    Args:
        model: the net, on the device of `data`.
        data: images and labels, normalised.
        recipe: how to train.
        seed: of the order of the images.

    Warns:
        SlowEngineWarning: Numba is not installed, which native code needs.
    """
    if (
        not isinstance(model, MLP)
        or not _can_train_natively(model, data)
        or not pays_natively(count_weights(model), connectivity(model)[""])
    ):
        return Trainer(model, data, recipe, seed=seed)
    if not is_available():
        warnings.warn(
            "Numba is not installed, so PyTorch trains this net: about 5 times slower at width 5, "
            "40 times at width 640. `pip install numba` mends it.",
            SlowEngineWarning,
            stacklevel=2,
        )
        return Trainer(model, data, recipe, seed=seed)
    return NativeTrainer(model, data, recipe, seed=seed)


def pays_natively(num_weights: int, net_connectivity: float) -> bool:
    """Whether native code trains an MLP of so many weights faster than PyTorch does."""
    return num_weights <= SMALL or net_connectivity <= SPARSE


def _can_train_natively(model: MLP, data: PreparedData) -> bool:
    on_cpu = data.train_images.device.type == "cpu"
    return on_cpu and all(parameter.dtype == torch.float32 for parameter in model.parameters())
