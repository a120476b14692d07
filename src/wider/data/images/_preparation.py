"""What a preparation of large images starts from, and the folder that it writes."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Int64
from torch import Tensor

from wider.data._columns import SPLITS, image_rows, labels_of
from wider.data._names import KNOWN, check_known
from wider.data._sources import Source, opened, train_and_test
from wider.data.images._files import COLOURS, RULE, BadImageError, reencode
from wider.data.images._shards import INDEX, SOURCE, is_prepared
from wider.errors import InputError
from wider.files import partial_of, remove_partials, write_whole

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
        tests = ("test", "validation")
        if name in KNOWN and KNOWN[name].test_split == "validation":
            tests = ("validation", "test")
        chosen = train_and_test(splits, source.location, tests=tests)
        labels, classes, notes = labels_of(chosen, source.location)
        _check_classes(labels, classes, source.location)
        check_known(name, num_classes=len(classes), channels=COLOURS)
        images = {
            split: image_rows(rows, split, source.location)[1] for split, rows in chosen.items()
        }
        yield LargeSource(classes, images, labels, notes)


def check_output(folder: Path, source: Source) -> None:
    """Does nothing if a folder is free for a preparation, or holds a part or all of the same one.

    Raises:
        InputError: it holds something else, or what was made from another source.
    """
    if is_prepared(folder):
        if (folder / SOURCE).read_bytes() != _description(source):
            raise InputError(
                f"{folder} was prepared from another source, or {source.location} has changed "
                "since, or another version of wider made it. Remove that folder or name another "
                "output."
            )
    elif folder.exists() and (not folder.is_dir() or _foreign(folder)):
        raise InputError(f"{folder} holds something else. Name another output.")


def claim_output(folder: Path, source: Source) -> None:
    """Makes the folder and notes the source in it; removes what a killed process left half-done."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_partials(folder)
    if not is_prepared(folder):
        write_whole(folder / SOURCE, _description(source))


def is_finished(folder: Path) -> bool:
    """Whether the preparation in a folder came to its end."""
    return (folder / INDEX).is_file()


def check_room(folder: Path, needed: float, purpose: str) -> None:
    """Does nothing if a disk has room.

    Args:
        folder: on the disk; it need not exist yet.
        needed: bytes.
        purpose: what they are for.

    Raises:
        InputError: there is too little.
    """
    resolved = folder.resolve()
    there = next(path for path in (resolved, *resolved.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise InputError(
            f"{_size(needed)} are needed {purpose}, but {folder} has {_size(free)} left. Make "
            "room or name an output on another disk."
        )


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


def _description(source: Source) -> bytes:
    return json.dumps({"fingerprint": source.fingerprint, "rule": RULE}, indent=1).encode()


def _foreign(folder: Path) -> bool:
    return any(partial_of(path.name) is None for path in folder.iterdir())


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.3f} MB"
