"""What lies in a folder of a dataset: which files are which split."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from wider.data._split_names import check_readme, check_whole, split_of_file, split_of_name
from wider.errors import InputError

USED = ("train", "validation", "test")
SAVED = "state.json"  # stands in each split that datasets saved
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # what Git notes in a file's place
METADATA = ("metadata.csv", "metadata.jsonl")  # in which datasets looks for labels
REMEDY = (
    "Put a train.parquet and a test.parquet there, or images as train/CLASS/IMAGE and "
    "test/CLASS/IMAGE, or what save_to_disk of datasets writes; or a train.txt and a test.txt of "
    "text, or a train.csv and a test.csv of numbers."
)


class SplitFiles(NamedTuple):
    """The files of a split.

    Attributes:
        tables: Parquet, Arrow, CSV or text files, in order.
        classes: images of each class, in order of the classes' names; empty where there are tables.
    """

    tables: tuple[Path, ...] = ()
    classes: dict[str, tuple[Path, ...]] = {}  # noqa: RUF012 (never changed)

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return (*self.tables, *(path for images in self.classes.values() for path in images))


def splits_in(folder: Path) -> dict[str, SplitFiles]:
    """Finds the files of each split; nothing is guessed, and links are followed.

    Args:
        folder: with Parquet files that are named after their splits or lie in folders of these
            names; or with text or CSV files that are named after their splits; or with what
            `save_to_disk` of datasets wrote; or with images as SPLIT/CLASS/IMAGE.

    Returns:
        The files of "train", "validation" and "test", as far as they are there, and no others.

    Raises:
        InputError: it holds none of these, several, or parts of one; the message names what is
            missing or in the way.
    """
    entries = _entries(folder)
    if not entries:
        raise InputError(f"The dataset folder {folder} is empty. {REMEDY}")
    tables, plain = sorted(_tables(entries)), _plain(entries)
    saved = [path for path in entries if (path / SAVED).is_file()]
    if saved or (folder / SAVED).is_file() or (folder / "dataset_dict.json").is_file():
        splits = _saved(folder, saved)
        others = saved or [folder / SAVED]
    elif tables:
        splits, others = _in_tables(folder, tables, entries), tables
    else:
        splits = {} if plain else _in_class_folders(folder, entries)
        others = [path for path in entries if path.is_dir() and split_of_name(path.name) in USED]
    if plain:
        _check_one_kind(folder, [*plain, *others], plain[0].suffix)
        splits = _by_split(folder, {path: split_of_file(path) for path in plain})
    if not splits:
        names = ", ".join(path.name for path in entries[:3]) + (", ..." if entries[3:] else "")
        raise InputError(
            f"The dataset folder {folder} cannot be read: it holds {names}, and nothing that is "
            f"named after the split 'train'. Unpack what is packed. {REMEDY}"
        )
    check_readme(folder, {split: files.paths for split, files in splits.items()})
    return splits


def _saved(folder: Path, saved: Sequence[Path]) -> dict[str, SplitFiles]:
    """What `save_to_disk` wrote: only the files that it lists, as others are copies."""
    if (folder / SAVED).is_file():
        raise InputError(
            f"{folder} holds one dataset that datasets saved without splits. Save it with two, as "
            "DatasetDict(train=..., test=...).save_to_disk(...)."
        )
    listed = _document(folder / "dataset_dict.json").get("splits", [path.name for path in saved])
    missing = set(listed) - {path.name for path in saved}
    if missing:
        raise InputError(
            f"{folder / 'dataset_dict.json'} lists the split {min(missing)!r}, but "
            f"{folder / min(missing) / SAVED} is missing. Copy the whole folder."
        )
    splits = {}
    for path in saved:
        names = [file["filename"] for file in _document(path / SAVED).get("_data_files", [])]
        foreign = next((name for name in names if Path(name).name != name), None)
        if foreign is not None:
            raise InputError(f"{path / SAVED} lists {foreign}, which is not in its folder.")
        splits[path.name] = SplitFiles(tuple(_table(path / name) for name in names))
    return _used(splits)


def _document(path: Path) -> dict:
    try:
        return json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}. Copy the whole folder again.") from error


def _in_tables(
    folder: Path, tables: Sequence[Path], entries: Sequence[Path]
) -> dict[str, SplitFiles]:
    """Parquet files, one or several to a split."""
    script = folder / f"{folder.name}.py"
    if script.exists():
        raise InputError(
            f"{script} is a program that would load the dataset, and it is not run. Remove it if "
            "the Parquet files beside it are the dataset."
        )
    told: dict[Path, str | None] = {}
    homes = set()
    for path in tables:
        split, home = split_of_file(path), path.parent
        if home != folder and split_of_name(home.name) in USED:  # as train/0000.parquet
            split, home = split_of_name(home.name), home.parent
        if split is None:
            raise InputError(
                f"{path} does not say of which split it is. Rename it to train.parquet, "
                "test.parquet or, of several, train-00000-of-00002.parquet; or remove it."
            )
        homes.add(home)
        told[path] = split
    if len(homes) > 1:
        named = " and ".join(str(home) for home in sorted(homes)[:2])
        raise InputError(
            f"The Parquet files of {folder} lie in several folders, such as {named}: they are "
            "several datasets, or variants of one. Keep one of them."
        )
    used = {path for table in tables for path in table.parents}
    other = [path for path in entries if path.is_dir() and path not in used]
    in_the_way = next((path for path in other if split_of_name(path.name) in USED), None)
    if in_the_way is not None:
        raise InputError(
            f"{folder} holds both Parquet files, such as {tables[0]}, and the folder {in_the_way}. "
            "Remove one of them."
        )
    return _by_split(folder, told)


def _by_split(folder: Path, named: Mapping[Path, str | None]) -> dict[str, SplitFiles]:
    """The tables of each split, given that of each."""
    splits: dict[str, list[Path]] = {}
    for path, split in named.items():
        splits.setdefault(str(split), []).append(path)
    whole = {split: check_whole(paths, split, folder) for split, paths in splits.items()}
    found = {split: SplitFiles(tuple(map(_table, paths))) for split, paths in whole.items()}
    return _used(found)


def _check_one_kind(folder: Path, paths: Sequence[Path], suffix: str) -> None:
    other = next((path for path in paths if path.suffix != suffix or path.is_dir()), None)
    if other is not None:
        raise InputError(
            f"{folder} holds both {paths[0]} and {other}: they are two datasets. Remove one of "
            "them, or give each a folder of its own."
        )


def _in_class_folders(folder: Path, entries: Sequence[Path]) -> dict[str, SplitFiles]:
    """Images as SPLIT/CLASS/IMAGE."""
    described = next((path for path in entries if path.name in METADATA), None)
    if described is not None:
        raise InputError(
            f"{described} is not read: labels of images in folders are the folders' names. Put "
            "them there as train/CLASS/IMAGE and test/CLASS/IMAGE, or write Parquet files."
        )
    splits: dict[str, SplitFiles] = {}
    for path in (path for path in entries if path.is_dir()):
        split = split_of_name(path.name)
        if split in USED:
            if split in splits:
                raise InputError(
                    f"{folder} has two folders for the split {split!r}, one of which is {path}. "
                    "Keep one of them."
                )
            splits[split] = SplitFiles(classes=_class_folders(path))
    return splits


def _class_folders(split: Path) -> dict[str, tuple[Path, ...]]:
    classes = {}
    for path in _entries(split):
        if not path.is_dir():
            _file(path)  # a link that leads nowhere is what is wrong, then
            raise InputError(
                f"{path} lies in no folder of a class. Put each image into a folder that is named "
                f"after its class, as {split / 'CLASS' / path.name}, and anything else elsewhere."
            )
        classes[path.name] = tuple(map(_image, _entries(path)))
        if not classes[path.name]:
            raise InputError(f"{path} is empty: put images of that class into it, or remove it.")
    return classes


def _image(path: Path) -> Path:
    if path.is_dir():
        raise InputError(
            f"{path} is a folder within a class: images lie in train/CLASS/IMAGE. Move its images "
            f"to {path.parent}, or make it a class beside it."
        )
    return _file(path)


def _file(path: Path) -> Path:
    """The path of a regular file, or of a link to one."""
    if not path.is_file():
        if path.exists():
            raise InputError(f"{path} is no regular file. Put a file there, or remove it.")
        raise InputError(
            f"{path} is missing, or is a link that leads nowhere. Put the file itself there."
        )
    return path


def _table(path: Path) -> Path:
    with _file(path).open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise InputError(
                f"{path} is a pointer of Git LFS, not the file itself. Run `git lfs pull` there."
            )
    return path


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder and is not hidden, in order of names."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _tables(entries: Sequence[Path]) -> Iterator[Path]:
    """All Parquet files down to VARIANT/SPLIT/FILE; folders of classes are not searched."""
    for path in entries:
        if path.suffix == ".parquet":
            yield path
        elif path.is_dir():
            inner = _entries(path)
            yield from (file for file in inner if file.suffix == ".parquet")
            if split_of_name(path.name) not in USED:
                for child in inner:
                    if child.is_dir() and split_of_name(child.name) in USED:
                        yield from (file for file in _entries(child) if file.suffix == ".parquet")


def _plain(entries: Sequence[Path]) -> list[Path]:
    """The text and CSV files that are named after splits."""
    return [
        path
        for path in entries
        if path.suffix in (".txt", ".csv") and not path.is_dir() and split_of_file(path) in USED
    ]


def _used(splits: dict[str, SplitFiles]) -> dict[str, SplitFiles]:
    return {split: splits[split] for split in USED if split in splits}
