"""Image datasets: loading them once, and getting them ready for training."""

from wider.data._augment import Augmentation, Moves, draw_moves, moved
from wider.data._images import ImageData, Split
from wider.data._load import load
from wider.data._preprocess import PreparedData, Preprocessing, prepare
from wider.data._training_data import Batch, Part, TrainingData

__all__ = [
    "Augmentation",
    "Batch",
    "ImageData",
    "Moves",
    "Part",
    "PreparedData",
    "Preprocessing",
    "Split",
    "TrainingData",
    "draw_moves",
    "load",
    "moved",
    "prepare",
]
