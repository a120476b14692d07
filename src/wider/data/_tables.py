"""Which Parquet, text or CSV files are a split, and whether all of them are there."""

import re
from collections.abc import Sequence
from pathlib import Path

from wider.data._pixels import LFS_POINTER
from wider.errors import InputError

ALIASES = {
    "training": "train",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
}

# train, train-0, train-00000-of-00002, and the last with hexadecimal digits as the Hub adds them.
SPLIT_FILE = re.compile(
    r"(?P<split>[a-z]+(?:_[a-z]+)*)(?:[-_.]?(?P<number>\d+)(?:-of-(?P<count>\d+))?(?:-[0-9a-f]+)?)?"
)
NUMBERED = re.compile(r"\D*(?P<number>\d+)(?:-of-(?P<count>\d+))?(?:-[0-9a-f]+)?")


def split_of_name(name: str) -> str:
    """The split for which a folder's or a file's name stands; "validation" for val."""
    return ALIASES.get(name.lower(), name.lower())


def split_of_file(path: Path) -> str | None:
    """The split that a table's name tells, such as train-00000-of-00002; None if it tells none."""
    found = SPLIT_FILE.fullmatch(path.stem.lower())
    return found and split_of_name(found["split"])


def check_whole(paths: Sequence[Path], split: str, folder: Path) -> list[Path]:
    """The tables of a split in order of their numbers.

    Raises:
        InputError: one is missing, or has a number that does not fit.
    """
    if len(paths) == 1 and not re.search(r"-of-\d", paths[0].stem):
        return list(paths)
    numbered: dict[int, Path] = {}
    counts: set[int] = set()
    for path in paths:
        found = NUMBERED.fullmatch(path.stem)
        counts |= {int(found["count"] or 0)} if found else set()
        if found is None or int(found["number"]) in numbered or len(counts) > 1:
            raise InputError(
                f"{folder} has several files for the split {split!r}, and the number of "
                f"{path} does not go with the others. Keep one file, or number all of them as "
                f"{split}-00000-of-00002{path.suffix}."
            )
        numbered[int(found["number"])] = path
    count = max(len(paths), *counts)
    first = int(0 not in numbered and count in numbered)  # some count from 1
    missing = set(range(first, first + count)) - set(numbered)
    if missing:
        raise InputError(
            f"The split {split!r} of {folder} has {len(paths)} files, such as "
            f"{paths[0].name}, and that of number {min(missing)} is missing. Copy all of them."
        )
    return [numbered[number] for number in sorted(numbered)]


def is_pointer(path: Path) -> bool:
    """Whether a file is not there itself, but only what Git LFS notes in its place."""
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER
