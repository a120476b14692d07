"""Decoded datasets on disk, so that each is decoded once."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open

from wider.data._dataset import Dataset
from wider.data._kinds import restored, stored
from wider.files import remove_partials, write_whole


def cached(path: Path, name: str, decode: Callable[[], Dataset]) -> Dataset:
    """Reads a dataset from its cache file, or decodes it and writes that file.

    Of several processes that ask at the same time one decodes, and the others wait for its file.
    A file that is torn or was edited is decoded anew. Without write access it works all the same,
    with a warning.

    Args:
        path: the cache file; its folder need not exist yet.
        name: the dataset's name as it was asked for.
        decode: decodes the dataset.

    Returns:
        The dataset.
    """
    found = _read(path, name)
    if found is not None:
        return found
    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        _warn_unwritable(path, error)
        return decode()
    with held:
        found = _read(path, name)
        if found is not None:
            return found
        data = decode()
        try:
            _write(path, data)
        except OSError as error:
            _warn_unwritable(path, error)
        return data


def _read(path: Path, name: str) -> Dataset | None:
    """The dataset in a cache file; None if there is no such file, or none to be trusted."""
    try:
        with safe_open(path, framework="pt") as file:
            about = {key: json.loads(value) for key, value in file.metadata().items()}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        data = restored(name, tensors, about)
        return data if data.digest == about["digest"] else None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _write(path: Path, data: Dataset) -> None:
    """Writes a cache file."""
    tensors, about = stored(data)
    metadata = {key: json.dumps(value) for key, value in about.items()}
    remove_partials(path.parent, {path.name})  # only the process that holds the lock writes
    write_whole(path, safetensors.torch.save(tensors, metadata=metadata))


def _warn_unwritable(path: Path, error: Exception) -> None:
    warnings.warn(
        f"The cache folder {path.parent} cannot be written ({error}), so this dataset is decoded "
        "again each time. Set WIDER_CACHE_DIR to a folder that can be written.",
        stacklevel=5,
    )
