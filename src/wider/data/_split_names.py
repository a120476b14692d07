"""What names, numbers and a README say of the files of a dataset: of which split each is."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

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


def check_readme(folder: Path, splits: Mapping[str, Sequence[Path]]) -> None:
    """Does nothing if a folder's README says of the files the same as their names, or nothing.

    Args:
        folder: of the dataset.
        splits: the files of each split, by their names.

    Raises:
        InputError: the `configs` of its head name other files, which are not read.
    """
    readme = folder / "README.md"
    if not readme.is_file() or b"configs:" not in readme.read_bytes():
        return
    from huggingface_hub import metadata_load  # noqa: PLC0415 (comes with datasets, and is slow)

    try:
        configs = (metadata_load(readme) or {}).get("configs") or []
        patterns = [list(_patterns(config)) for config in configs]
    except Exception as error:  # of YAML, and of what is expected in it
        raise InputError(
            f"The head of {readme} cannot be read: {' '.join(str(error).split())}. Mend or remove "
            "it: files are found by their names without it."
        ) from error
    names = {
        split: {path.relative_to(folder).as_posix() for path in paths}
        for split, paths in splits.items()
    }
    if configs and not any(_fit(config, names) for config in patterns):
        named = next((pattern for config in patterns for _, pattern in config), "no file")
        raise InputError(
            f"{readme} says under `configs` that the dataset is {named}, and only files in "
            f"{folder} are read that are named after their splits. Name them so, as train.parquet "
            "and test.parquet, and remove `configs`."
        )


def _patterns(config: dict[str, Any]) -> Iterator[tuple[str | None, str]]:
    """Which files a variant of a dataset consists of, each with its split if that is named."""
    if "data_dir" in config:
        yield None, f"{config['data_dir']}/*"
    files = config.get("data_files", [])
    for entry in files if isinstance(files, list) else [files]:
        split, paths = (entry["split"], entry["path"]) if isinstance(entry, dict) else (None, entry)
        for path in paths if isinstance(paths, list) else [paths]:
            yield split and split_of_name(split), str(path)


def _fit(patterns: Sequence[tuple[str | None, str]], names: Mapping[str, set[str]]) -> bool:
    every = set().union(*names.values())
    told: dict[str, set[str]] = {split: set() for split in names}
    for split, pattern in patterns:
        matched = {name for name in every if fnmatchcase(name, pattern)}
        if split is None:
            matched_by_split = {known: matched & files for known, files in names.items()}
        else:
            matched_by_split = {split: matched}
        for known, files in matched_by_split.items():
            # Of other splits, such as SVHN's "extra", no file is read.
            told[known] = told.get(known, set()) | files
    return all(told[split] == names[split] for split in names)
