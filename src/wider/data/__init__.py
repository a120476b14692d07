"""Image datasets: loading them once, and getting them ready for training."""

from wider.data._images import ImageData, Split
from wider.data._load import load
from wider.data._preprocess import PreparedData, Preprocessing, prepare

__all__ = ["ImageData", "PreparedData", "Preprocessing", "Split", "load", "prepare"]
