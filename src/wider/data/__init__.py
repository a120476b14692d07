"""Datasets of images, text and tables: loading them once, and getting them ready for training."""

from wider.extras import need

need("study")

from wider.data import _bundled as _bundled  # datasets and kinds register themselves
from wider.data._arrays import from_arrays
from wider.data._dataset import Dataset, Normalisation, Preprocessing
from wider.data._kinds import cache_folder
from wider.data._load import at_hand, digest_at_hand, load, load_dataset, load_for, load_large
from wider.data._names import DATASETS, KNOWN, Known
from wider.data._prepare import prepare
from wider.data._table import PreparedTable, Rows, TableData
from wider.data._text import PreparedText, TextData
from wider.data._training_data import Augmentation, Batch, InMemoryData, Part, TrainingData
from wider.data._transformations import TRANSFORMATIONS, TransformationSpec
from wider.data.images import (
    DrawnAugmentation,
    ImageData,
    Images,
    Index,
    LargeImageData,
    PreparedData,
    StreamedData,
    augmented,
    central_boxes,
    draw_augmentation,
    random_boxes,
    write_shards,
)

__all__ = [
    "DATASETS",
    "KNOWN",
    "TRANSFORMATIONS",
    "Augmentation",
    "Batch",
    "Dataset",
    "DrawnAugmentation",
    "ImageData",
    "Images",
    "InMemoryData",
    "Index",
    "Known",
    "LargeImageData",
    "Normalisation",
    "Part",
    "PreparedData",
    "PreparedTable",
    "PreparedText",
    "Preprocessing",
    "Rows",
    "StreamedData",
    "TableData",
    "TextData",
    "TrainingData",
    "TransformationSpec",
    "at_hand",
    "augmented",
    "cache_folder",
    "central_boxes",
    "digest_at_hand",
    "draw_augmentation",
    "from_arrays",
    "load",
    "load_dataset",
    "load_for",
    "load_large",
    "prepare",
    "random_boxes",
    "write_shards",
]
