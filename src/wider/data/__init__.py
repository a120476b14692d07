"""Datasets of images, text and tables: loading them once, and getting them ready for training."""

from wider.extras import need

need("study")

from wider.data import _decode as _decode  # kinds and datasets register themselves
from wider.data import _digits as _digits
from wider.data import _python_source as _python_source
from wider.data import _read_table as _read_table
from wider.data import _read_text as _read_text
from wider.data import _scikit_learn as _scikit_learn
from wider.data._arrays import from_arrays
from wider.data._at_hand import at_hand, digest_at_hand
from wider.data._augment import Augmentation, Moves, draw_moves, moved
from wider.data._dataset import Dataset
from wider.data._images import ImageData, Split
from wider.data._in_memory import InMemoryData
from wider.data._index import Index
from wider.data._known import KNOWN, Known
from wider.data._large_images import LargeImageData
from wider.data._load import cache_folder, load, load_dataset, load_for, load_large
from wider.data._part import Part
from wider.data._prepare import prepare
from wider.data._prepared_images import PreparedData
from wider.data._preprocessing import Normalisation, Preprocessing
from wider.data._registered import DATASETS
from wider.data._streamed_data import StreamedData
from wider.data._table import PreparedTable, Rows, TableData
from wider.data._text import PreparedText, TextData
from wider.data._training_data import Batch, TrainingData
from wider.data._transformations import TRANSFORMATIONS, TransformationSpec
from wider.data._write_shards import write_shards

__all__ = [
    "DATASETS",
    "KNOWN",
    "TRANSFORMATIONS",
    "Augmentation",
    "Batch",
    "Dataset",
    "ImageData",
    "InMemoryData",
    "Index",
    "Known",
    "LargeImageData",
    "Moves",
    "Normalisation",
    "Part",
    "PreparedData",
    "PreparedTable",
    "PreparedText",
    "Preprocessing",
    "Rows",
    "Split",
    "StreamedData",
    "TableData",
    "TextData",
    "TrainingData",
    "TransformationSpec",
    "at_hand",
    "cache_folder",
    "digest_at_hand",
    "draw_moves",
    "from_arrays",
    "load",
    "load_dataset",
    "load_for",
    "load_large",
    "moved",
    "prepare",
    "write_shards",
]
