"""The encoded images of a dataset that is too large for memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Int64
from torch import Tensor

from wider.data._columns import image_rows
from wider.data._known import KNOWN, check_known
from wider.data._labels import SPLITS, labels_of
from wider.data._pixels import BadImageError
from wider.data._reencode import reencode
from wider.data._shards import COLOURS
from wider.data._sources import Source, opened
from wider.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

SAMPLE = 50  # images of each split by which the size of all is estimated


@dataclass(frozen=True)
class LargeSource:
    """What a preparation starts from.

    Args:
        classes: their names, in label order.
        images: of each split, still encoded, in the only column.
        labels: of the same images.
        notes: what a user should know of the classes.
    """

    classes: tuple[str, ...]
    images: "dict[str, Dataset]"
    labels: dict[str, Int64[Tensor, "images"]]
    notes: tuple[str, ...]

    def stored_bytes_an_image(self) -> float:
        """How many bytes an image takes once it is stored, from a sample."""
        sizes = []
        for split in SPLITS:
            count = len(self.images[split])
            for row in range(0, count, -(-count // SAMPLE)):
                (record,) = self.images[split][row].values()
                try:
                    sizes.append(len(reencode(record).content))
                except BadImageError:
                    continue  # it will be skipped, and counted then
        return sum(sizes) / max(len(sizes), 1)


@contextmanager
def opened_large(name: str, source: Source, scratch: Path) -> Iterator[LargeSource]:
    """Opens and checks a source; it can be read until the block is left.

    Args:
        name: of the dataset.
        source: a folder or a dataset on the Hugging Face Hub.
        scratch: the folder for what datasets unpacks.

    Yields:
        The images and labels.

    Raises:
        InputError: it cannot be read, has no train or test split, labels or classes that do not
            fit, or is not what its name says.
    """
    with opened(source, scratch=scratch) as splits:
        chosen = _train_and_test(splits, name, source.location)
        labels, classes, notes = labels_of(chosen, source.location)
        _check_classes(labels, classes, source.location)
        check_known(name, num_classes=len(classes), channels=COLOURS)
        images = {
            split: image_rows(rows, split, source.location)[1] for split, rows in chosen.items()
        }
        yield LargeSource(classes, images, labels, notes)


def _train_and_test(
    splits: "Mapping[str, Dataset]", name: str, location: str
) -> "dict[str, Dataset]":
    names = ("test", "validation")
    if name in KNOWN and KNOWN[name].test_split == "validation":
        names = ("validation", "test")
    test = next((split for split in names if split in splits), None)
    if "train" not in splits or test is None:
        raise InputError(
            f"The dataset {location} has the splits {', '.join(map(repr, splits))}. It needs "
            "'train' and 'test' or, as ImageNet, 'validation': as train/CLASS/IMAGE and "
            "test/CLASS/IMAGE, or as parquet files of these names."
        )
    for split in ("train", test):
        if len(splits[split]) == 0:
            raise InputError(f"The split {split!r} of {location} is empty. Put images into it.")
    return {"train": splits["train"], "test": splits[test]}


def _check_classes(
    labels: dict[str, Int64[Tensor, "images"]], classes: tuple[str, ...], location: str
) -> None:
    train, test = (set(labels[split].tolist()) for split in SPLITS)
    if train == test:
        return
    missing = {"train": sorted(test - train), "test": sorted(train - test)}
    lacks = "; ".join(
        f"{split} has no image of {len(absent)} of them "
        f"({', '.join(classes[label] for label in absent[:5])}{', ...' if absent[5:] else ''})"
        for split, absent in missing.items()
        if absent
    )
    raise InputError(
        f"The classes of train and test of {location} differ, of {len(train | test)} classes in "
        f"all: {lacks}. Give both splits the same classes."
    )
