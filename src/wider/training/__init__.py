"""From a model, data and a recipe to a history."""

from wider.training._history import Epoch, History
from wider.training._recipe import Recipe
from wider.training._trainer import Trainer

__all__ = ["Epoch", "History", "Recipe", "Trainer"]
