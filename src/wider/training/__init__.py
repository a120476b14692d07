"""From a model, data and a recipe to a history."""

from wider.training._choice import SlowEngineWarning, pays_natively, trainer_for
from wider.training._engine import Engine
from wider.training._history import Epoch, History
from wider.training._native import NativeTrainer
from wider.training._native_layers import NativeLayersTrainer
from wider.training._recipe import Recipe
from wider.training._trainer import Trainer

__all__ = [
    "Engine",
    "Epoch",
    "History",
    "NativeLayersTrainer",
    "NativeTrainer",
    "Recipe",
    "SlowEngineWarning",
    "Trainer",
    "pays_natively",
    "trainer_for",
]
