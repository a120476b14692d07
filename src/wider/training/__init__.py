"""From a model, data and a recipe to a history."""

from wider.extras import need

need("study")

from wider.training._choice import pays_natively, trainer_for
from wider.training._distributed import ALONE, Processes, is_first_process, joined_processes
from wider.training._engine import Engine
from wider.training._history import Epoch, History
from wider.training._layer_rates import LAYER_RATES, Layer, LayerRatesSpec, layers_of
from wider.training._metrics import METRICS, Metric, Outcome
from wider.training._native import NativeTrainer
from wider.training._native_layers import NativeLayersTrainer
from wider.training._objectives import OBJECTIVES, Objective
from wider.training._optimisers import OPTIMISERS, OptimiserSpec
from wider.training._recipe import Recipe
from wider.training._rounds import Rounds
from wider.training._schedules import SCHEDULES, ScheduleSpec
from wider.training._scored import Precision
from wider.training._speed import SlowEngineWarning, Speed
from wider.training._trainer import Trainer

__all__ = [
    "ALONE",
    "LAYER_RATES",
    "METRICS",
    "OBJECTIVES",
    "OPTIMISERS",
    "SCHEDULES",
    "Engine",
    "Epoch",
    "History",
    "Layer",
    "LayerRatesSpec",
    "Metric",
    "NativeLayersTrainer",
    "NativeTrainer",
    "Objective",
    "OptimiserSpec",
    "Outcome",
    "Precision",
    "Processes",
    "Recipe",
    "Rounds",
    "ScheduleSpec",
    "SlowEngineWarning",
    "Speed",
    "Trainer",
    "is_first_process",
    "joined_processes",
    "layers_of",
    "pays_natively",
    "trainer_for",
]
