"""Which Parquet files are a split, and whether all of them are there."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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


class _Table(NamedTuple):
    number: int
    count: int | None
    path: Path


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
        InputError: one is missing, or it is not clear in which order they come.
    """
    if len(paths) == 1 and not re.search(r"-of-\d", paths[0].stem):
        return list(paths)
    tables = []
    for path in paths:
        found = NUMBERED.fullmatch(path.stem)
        if found is None:
            raise InputError(
                f"{folder} has several Parquet files for the split {split!r}, and {path} has no "
                f"number. Keep one file, or number all of them: {split}-00000-of-00002.parquet."
            )
        tables.append(_Table(int(found["number"]), found["count"] and int(found["count"]), path))
    tables.sort()
    first = min(tables[0].number, 1)  # some count from 1
    count = max([len(tables), *(table.count for table in tables if table.count is not None)])
    numbers = [table.number for table in tables]
    if numbers != list(range(first, first + count)) or len({t.count for t in tables}) > 1:
        missing = sorted(set(range(first, first + count)) - set(numbers))
        what = f"number {missing[0]} is missing" if missing else "their numbers do not fit together"
        raise InputError(
            f"The split {split!r} of {folder} has {len(tables)} Parquet files of {count}, such as "
            f"{tables[0].path.name}, and {what}. Copy all of them, and no others."
        )
    return [table.path for table in tables]


def is_pointer(path: Path) -> bool:
    """Whether a file is not there itself, but only what Git LFS notes in its place."""
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER
