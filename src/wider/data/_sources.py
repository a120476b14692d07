"""Where a dataset is read from, and what tells one source from another."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wider.data._folders import REMEDY, SplitFiles, splits_in
from wider.data._names import DATASETS, KNOWN
from wider.data._open_files import check_paths, opened_files
from wider.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

HUB_NAMES = {name: known.hub_name for name, known in KNOWN.items() if known.hub_name}
HUB_CONFIGS = {known.hub_name: known.hub_config for known in KNOWN.values()}

# Raise this when the same files come to be decoded to other tensors, so that old caches are left.
DECODER_VERSION = 2


@dataclass(frozen=True)
class Source:
    """A folder or a dataset on the Hugging Face Hub.

    Args:
        location: the folder's path, or the name on the Hub.
        config: which of a Hub dataset's variants, if it has several.
        fingerprint: hexadecimal digits that change when the files may have changed.
        remedy: what a user can do when the source cannot be read.
        files: of each split, in a folder.
    """

    location: str
    config: str | None
    fingerprint: str
    remedy: str
    files: dict[str, SplitFiles] | None = None

    @property
    def table_bytes(self) -> int:
        """How many bytes of a folder's files are unpacked to be read; image files are not."""
        tables = [path for files in (self.files or {}).values() for path in files.tables]
        return sum(path.stat().st_size for path in tables if path.suffix == ".parquet")


def folder_source(name: str, data_dir: Path) -> Source:
    """The source of a dataset that lies in a folder.

    Args:
        name: the dataset's folder in `data_dir`.
        data_dir: the folder of all datasets.

    Returns:
        A source whose fingerprint covers the folder's path and the name, size and time of change of
        each file that is read.

    Raises:
        InputError: if the folder is missing, or holds no dataset; see `splits_in`.
    """
    folder = (data_dir / name).resolve()
    if not folder.is_dir():
        raise InputError(
            f"The dataset folder {folder} is missing. {REMEDY} Or leave out --data-dir to download."
        )
    try:
        splits = splits_in(folder)
        files = [
            [split, path.relative_to(folder).as_posix(), about.st_size, about.st_mtime_ns]
            for split, found in splits.items()
            for path in found.paths
            for about in [path.stat()]
        ]
    except OSError as error:
        raise InputError(f"The dataset folder {folder} cannot be read: {error}.") from error
    fingerprint = _fingerprint("folder", name, str(folder), files)
    return Source(str(folder), None, fingerprint, REMEDY, splits)


def hub_source(name: str) -> Source:
    """The source of a dataset on the Hugging Face Hub.

    Args:
        name: a known short name, or a name on the Hub such as "ylecun/mnist".

    Returns:
        A source whose fingerprint covers the dataset's name and variant on the Hub.

    Raises:
        InputError: if the name is neither, or if it is also a folder's.
    """
    if "/" not in name and name not in HUB_NAMES:
        raise InputError(
            f"There is no dataset named {name!r}. Known names are "
            f"{', '.join([*DATASETS, *HUB_NAMES])}; or give a name on the Hugging Face Hub, "
            "such as ylecun/mnist, or a folder's name together with --data-dir."
        )
    location = HUB_NAMES.get(name, name)
    if Path(location).is_dir():
        # datasets would take the folder without a word, and the cache would keep it as the Hub's.
        raise InputError(
            f"{location} is the name of a folder here, but without --data-dir it means a dataset "
            "on the Hugging Face Hub. Pass --data-dir . to read the folder."
        )
    config = HUB_CONFIGS.get(location)
    remedy = (
        "Check the name and the network; or download the dataset elsewhere and say where it is "
        "with --data-dir."
    )
    return Source(location, config, _fingerprint("hub", name, location, config), remedy)


@contextmanager
def opened(source: Source, *, scratch: Path | None = None) -> "Iterator[dict[str, Dataset]]":
    """Opens a source's splits; they can be read until the block is left.

    Args:
        source: what to open.
        scratch: a folder for what is unpacked, which then stays there; by default one that is
            removed afterwards.

    Yields:
        The splits by name, images still encoded; of a folder those that are used.

    Raises:
        InputError: if the source cannot be reached or read, or names images elsewhere.
    """
    # What is unpacked here is of no use once wider's own cache holds the decoded images.
    with tempfile.TemporaryDirectory(prefix="wider-") as passing:
        unpacked = Path(passing) if scratch is None else scratch
        try:
            with _quiet():
                if source.files is None:
                    splits = _load_dataset(source, str(unpacked))
                else:
                    prefix = source.fingerprint[:16]
                    splits = opened_files(source.files, unpacked, prefix)
        except InputError:
            raise
        except Exception as error:  # datasets raises whatever its readers raise
            raise InputError(
                f"The dataset {source.location} cannot be read: {_reason(error)} {source.remedy}"
            ) from error
        check_paths(splits, _allowed_folders(source, unpacked))
        yield splits


def train_and_test(
    splits: "Mapping[str, Dataset]", location: str, *, tests: Sequence[str] = ("test",)
) -> "dict[str, Dataset]":
    """The two splits that every dataset needs.

    Args:
        splits: by name.
        location: where the dataset lies, for the message.
        tests: names of the split that is tested on; the first one that is there counts.

    Raises:
        InputError: one of them is missing or empty.
    """
    test = next((split for split in tests if split in splits), tests[0])
    for split in ("train", test):
        if split not in splits:
            raise InputError(
                f"The dataset {location} has no split {split!r}, only "
                f"{', '.join(map(repr, splits))}. Name its splits 'train' and "
                f"{' or '.join(map(repr, tests))}: as train.parquet and {tests[0]}.parquet, or as "
                "folders of these names."
            )
        if len(splits[split]) == 0:
            raise InputError(
                f"The split {split!r} of {location} is empty. Put at least one example into it."
            )
    return {"train": splits["train"], "test": splits[test]}


def _load_dataset(source: Source, scratch: str) -> "dict[str, Dataset]":
    import datasets  # noqa: PLC0415 (takes most of a second, and a cached dataset needs none of it)

    splits = datasets.load_dataset(source.location, source.config, cache_dir=scratch)
    return {str(split): rows for split, rows in splits.items()}


def _allowed_folders(source: Source, unpacked: Path) -> list[Path]:
    """Where a source may have images: a table of strangers could name any file of the user's."""
    if source.files is not None:
        return [Path(source.location)]
    from datasets import config  # noqa: PLC0415
    from huggingface_hub import constants  # noqa: PLC0415

    return [unpacked, Path(config.DOWNLOADED_DATASETS_PATH), Path(constants.HF_HUB_CACHE)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the progress bars and messages of datasets off standard error, then puts them back."""
    from datasets import config  # noqa: PLC0415
    from datasets.utils import (  # noqa: PLC0415
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )
    from huggingface_hub.utils import logging as hub_logging  # noqa: PLC0415

    loggings = [(module, module.get_verbosity()) for module in (logging, hub_logging)]
    # A user who set the environment variable for the bars has decided; datasets warns if we differ.
    undecided = config.HF_DATASETS_DISABLE_PROGRESS_BARS is None
    turn_bars_off = undecided and not are_progress_bars_disabled()
    for module, _ in loggings:
        module.set_verbosity(logging.CRITICAL)
    if turn_bars_off:
        disable_progress_bars()
    try:
        yield
    finally:
        for module, verbosity in loggings:
            module.set_verbosity(verbosity)
        if turn_bars_off:
            enable_progress_bars()


def _reason(error: Exception) -> str:
    text = " ".join(str(error.__cause__ or error).split())
    return (text or type(error).__name__).rstrip(".") + "."


def _fingerprint(*parts: Any) -> str:
    return hashlib.sha256(json.dumps([DECODER_VERSION, *parts]).encode()).hexdigest()
