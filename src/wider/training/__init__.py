"""From a model, data and a recipe to a history."""

from wider.training._choice import pays_natively, trainer_for
from wider.training._distributed import ALONE, Processes, is_first_process, joined_processes
from wider.training._engine import Engine
from wider.training._history import Epoch, History
from wider.training._native import NativeTrainer
from wider.training._native_layers import NativeLayersTrainer
from wider.training._recipe import Recipe
from wider.training._speed import Precision, SlowEngineWarning, Speed
from wider.training._trainer import Trainer

__all__ = [
    "ALONE",
    "Engine",
    "Epoch",
    "History",
    "NativeLayersTrainer",
    "NativeTrainer",
    "Precision",
    "Processes",
    "Recipe",
    "SlowEngineWarning",
    "Speed",
    "Trainer",
    "is_first_process",
    "joined_processes",
    "pays_natively",
    "trainer_for",
]
