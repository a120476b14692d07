"""Image datasets: loading them once, and getting them ready for training."""

from wider.data._augment import Augmentation, Moves, draw_moves, moved
from wider.data._images import ImageData, Split
from wider.data._load import load
from wider.data._preprocess import PreparedData, Preprocessing, prepare

__all__ = [
    "Augmentation",
    "ImageData",
    "Moves",
    "PreparedData",
    "Preprocessing",
    "Split",
    "draw_moves",
    "load",
    "moved",
    "prepare",
]
