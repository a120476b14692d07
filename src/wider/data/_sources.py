"""Where a dataset is read from, and what tells one source from another."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wider.data._known import KNOWN
from wider.errors import InputError

if TYPE_CHECKING:
    from datasets import DatasetDict

HUB_NAMES = {name: known.hub_name for name, known in KNOWN.items() if known.hub_name}
HUB_CONFIGS = {known.hub_name: known.hub_config for known in KNOWN.values()}

# Raise this when the same files come to be decoded to other tensors, so that old caches are left.
DECODER_VERSION = 1


@dataclass(frozen=True)
class Source:
    """A folder or a dataset on the Hugging Face Hub.

    Args:
        location: the folder's path, or the name on the Hub.
        config: which of a Hub dataset's variants, if it has several.
        fingerprint: hexadecimal digits that change when the files may have changed.
        remedy: what a user can do when the source cannot be read.
    """

    location: str
    config: str | None
    fingerprint: str
    remedy: str


def folder_source(name: str, data_dir: Path) -> Source:
    """The source of a dataset that lies in a folder.

    Args:
        name: the dataset's folder in `data_dir`.
        data_dir: the folder of all datasets.

    Returns:
        A source whose fingerprint covers the folder's path and each file's name, size and time of
        change.

    Raises:
        InputError: if the folder is missing or holds no file.
    """
    folder = (data_dir / name).resolve()
    remedy = "Put a train.parquet and a test.parquet there, or leave out --data-dir to download."
    if not folder.is_dir():
        raise InputError(f"The dataset folder {folder} is missing. {remedy}")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise InputError(f"The dataset folder {folder} is empty. {remedy}")
    files = [
        [path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns]
        for path in paths
    ]
    return Source(str(folder), None, _fingerprint("folder", name, str(folder), files), remedy)


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
            f"There is no dataset named {name!r}. Known names are digits, {', '.join(HUB_NAMES)}; "
            "or give a name on the Hugging Face Hub, such as ylecun/mnist, or a folder's name "
            "together with --data-dir."
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
def opened(source: Source, *, scratch: Path | None = None) -> "Iterator[DatasetDict]":
    """Opens a source's splits; they can be read until the block is left.

    Args:
        source: what to open.
        scratch: a folder for what datasets unpacks, which then stays there; by default one that
            is removed afterwards.

    Yields:
        The splits by name, their images still encoded.

    Raises:
        InputError: if the source cannot be reached or read.
    """
    # What datasets unpacks here is of no use once wider's own cache holds the decoded images.
    with tempfile.TemporaryDirectory(prefix="wider-") as passing:
        try:
            splits = _load_dataset(source, passing if scratch is None else str(scratch))
        except Exception as error:  # datasets raises whatever its readers raise
            raise InputError(
                f"The dataset {source.location} cannot be read: {_reason(error)} {source.remedy}"
            ) from error
        yield splits


def _load_dataset(source: Source, scratch: str) -> "DatasetDict":
    import datasets  # noqa: PLC0415 (takes most of a second, and a cached dataset needs none of it)

    with _quiet():
        return datasets.load_dataset(source.location, source.config, cache_dir=scratch)


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

    verbosity = logging.get_verbosity()
    # A user who set the environment variable for the bars has decided; datasets warns if we differ.
    undecided = config.HF_DATASETS_DISABLE_PROGRESS_BARS is None
    turn_bars_off = undecided and not are_progress_bars_disabled()
    logging.set_verbosity(logging.CRITICAL)
    if turn_bars_off:
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if turn_bars_off:
            enable_progress_bars()


def _reason(error: Exception) -> str:
    text = " ".join(str(error.__cause__ or error).split())
    return (text or type(error).__name__).rstrip(".") + "."


def _fingerprint(*parts: Any) -> str:
    return hashlib.sha256(json.dumps([DECODER_VERSION, *parts]).encode()).hexdigest()
