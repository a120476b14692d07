"""Image datasets: loading them once, and getting them ready for training."""

from wider.data._at_hand import at_hand, digest_at_hand
from wider.data._augment import Augmentation, Moves, draw_moves, moved
from wider.data._dataset import Dataset
from wider.data._images import ImageData, Split
from wider.data._index import Index
from wider.data._known import KNOWN, Known
from wider.data._large_images import LargeImageData
from wider.data._load import cache_folder, load, load_for, load_large
from wider.data._preprocess import PreparedData, prepare, task_of
from wider.data._preprocessing import Normalisation, Preprocessing
from wider.data._streamed_data import StreamedData
from wider.data._training_data import Batch, Part, TrainingData
from wider.data._write_shards import write_shards

__all__ = [
    "KNOWN",
    "Augmentation",
    "Batch",
    "Dataset",
    "ImageData",
    "Index",
    "Known",
    "LargeImageData",
    "Moves",
    "Normalisation",
    "Part",
    "PreparedData",
    "Preprocessing",
    "Split",
    "StreamedData",
    "TrainingData",
    "at_hand",
    "cache_folder",
    "digest_at_hand",
    "draw_moves",
    "load",
    "load_for",
    "load_large",
    "moved",
    "prepare",
    "task_of",
    "write_shards",
]
