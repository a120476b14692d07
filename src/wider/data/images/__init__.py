"""Images: of one size in memory, and large ones of several sizes on disk."""

from wider.data.images._augmentation import (
    DrawnAugmentation,
    augmented,
    central_boxes,
    draw_augmentation,
    random_boxes,
)
from wider.data.images._in_memory import ImageData, Images, image_data
from wider.data.images._large_images import LargeImageData, large_images
from wider.data.images._prepared import PreparedData, derived
from wider.data.images._shards import INDEX, Index, is_prepared, read_index
from wider.data.images._streamed import StreamedData
from wider.data.images._write_shards import write_shards

__all__ = [
    "INDEX",
    "DrawnAugmentation",
    "ImageData",
    "Images",
    "Index",
    "LargeImageData",
    "PreparedData",
    "StreamedData",
    "augmented",
    "central_boxes",
    "derived",
    "draw_augmentation",
    "image_data",
    "is_prepared",
    "large_images",
    "random_boxes",
    "read_index",
    "write_shards",
]
