"""A dataset of large images of several sizes, on disk."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from wider.data._dataset import Dataset
from wider.data.images._files import COLOURS, SMALLER_SIDE
from wider.data.images._shards import Index, opened_shard
from wider.tasks import Task


class StoredFacts(NamedTuple):
    """What is known of some stored images without decoding them.

    Attributes:
        sizes: height and width of each.
        sums: of all their pixel values, in each colour.
        squares: sums of the squares of these values.
    """

    sizes: Int64[Tensor, "images 2"]
    sums: Int64[Tensor, " colours"]
    squares: Int64[Tensor, " colours"]


@dataclass(frozen=True, eq=False)
class StoredImages:
    """The images of one split, in files.

    Args:
        paths: of the shards.
        counts: images in each shard.
    """

    paths: tuple[Path, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return sum(self.counts)

    def read(self, row: int) -> tuple[bytes, int]:
        """An image's encoded bytes and its label."""
        path, place = self._found(row)
        batch = opened_shard(path)
        return batch.column("image")[place].as_py(), batch.column("label")[place].as_py()

    def facts(self, rows: Int64[Tensor, " images"]) -> StoredFacts:
        """Sizes and sums of some images; `rows` in ascending order."""
        sizes, totals = [], np.zeros((2, COLOURS), dtype=np.int64)
        bounds = np.searchsorted(rows.numpy(), [*self._starts, len(self)])
        for shard, (first, last) in enumerate(pairwise(bounds)):
            places = rows.numpy()[first:last] - self._starts[shard]
            if len(places):
                batch = opened_shard(self.paths[shard])
                columns = (batch.column(name).to_numpy() for name in ("height", "width"))
                sizes.append(np.stack([column[places] for column in columns], axis=1))
                for row, name in enumerate(("sums", "squares")):
                    values = batch.column(name).flatten().to_numpy().reshape(-1, COLOURS)
                    totals[row] += values[places].sum(axis=0)
        every = np.concatenate(sizes) if sizes else np.zeros((0, 2))
        sums, squares = torch.from_numpy(totals)
        return StoredFacts(torch.from_numpy(every.astype(np.int64)), sums, squares)

    def place(self, row: int) -> str:
        """Where an image is, for messages."""
        path, place = self._found(row)
        return f"{place} of {path}"

    def _found(self, row: int) -> tuple[Path, int]:
        shard = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.paths[shard], row - int(self._starts[shard])

    @cached_property
    def _starts(self) -> np.ndarray:
        """The first row of each shard."""
        return np.cumsum([0, *self.counts])[:-1]


@dataclass(frozen=True, eq=False)
class LargeImageData(Dataset):
    """A dataset of large images that `write_shards` prepared; its pixels stay on disk.

    Args:
        name: the name that was asked for, such as "imagenet".
        classes: the name of each class, in label order.
        encoding: the file format of the stored images.
        train: the images to learn from.
        test: the images to test on.
        digest: SHA-256, as hexadecimal digits, of class names, labels and stored images.
        image_size: height and width to which images are cropped for training.
        notes: what a user should know before training; the command line shows them.
    """

    kind: ClassVar[str] = "large images"
    fields: ClassVar[frozenset[str]] = frozenset(
        {
            "normalisation", "num_train", "num_validation", "scaled_by", "split_seed",
            "image_size",
        }
    )  # fmt: skip

    name: str
    classes: tuple[str, ...]
    encoding: str
    train: StoredImages
    test: StoredImages
    digest: str
    image_size: int = SMALLER_SIDE
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.classes)

    @property
    def num_train(self) -> int:
        """How many training images there are."""
        return len(self.train)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image after it is cropped."""
        return COLOURS, self.image_size, self.image_size

    @property
    def task(self) -> Task:
        """See `Dataset`."""
        return Task.of_images(self.image_shape, self.num_classes)


def large_images(index: Index, folder: Path, name: str, image_size: int) -> LargeImageData:
    """The dataset in a folder, given its index."""

    def split(name: str) -> StoredImages:
        shards = index.splits[name]
        return StoredImages(
            tuple(folder / shard.file for shard in shards), tuple(shard.count for shard in shards)
        )

    return LargeImageData(
        name=name,
        classes=index.classes,
        encoding=index.encoding,
        train=split("train"),
        test=split("test"),
        digest=index.digest,
        image_size=image_size,
        notes=index.notes,
    )
