"""Decoded datasets on disk, so that each is decoded once."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open

from wider.data._decode import Decoded
from wider.data._images import ImageData, Split, content_digest
from wider.files import remove_partials, write_whole


def cached(path: Path, name: str, decode: Callable[[], Decoded]) -> ImageData:
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
        return _assembled(name, decode())
    with held:
        found = _read(path, name)
        if found is not None:
            return found
        data = _assembled(name, decode())
        try:
            _write(path, data)
        except OSError as error:
            _warn_unwritable(path, error)
        return data


def _assembled(name: str, decoded: Decoded) -> ImageData:
    classes, encoding, train, test, notes = decoded
    digest = content_digest(classes, train, test)
    return ImageData(name, classes, encoding, train, test, digest, notes)


def _read(path: Path, name: str) -> ImageData | None:
    """The dataset in a cache file; None if there is no such file, or none to be trusted."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata()
            train, test = (
                Split(file.get_tensor(f"{split}.images"), file.get_tensor(f"{split}.labels"))
                for split in ("train", "test")
            )
        classes, notes = (tuple(json.loads(about[key])) for key in ("classes", "notes"))
        encoding = json.loads(about["encoding"])
        data = _assembled(name, Decoded(classes, encoding, train, test, notes))
        return data if data.digest == json.loads(about["digest"]) else None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def _write(path: Path, data: ImageData) -> None:
    """Writes a cache file."""
    tensors = {
        "train.images": data.train.images,
        "train.labels": data.train.labels,
        "test.images": data.test.images,
        "test.labels": data.test.labels,
    }
    about = {
        "classes": data.classes,
        "encoding": data.encoding,
        "digest": data.digest,
        "notes": data.notes,
    }
    metadata = {key: json.dumps(value) for key, value in about.items()}
    remove_partials(path.parent, {path.name})  # only the process that holds the lock writes
    write_whole(path, safetensors.torch.save(tensors, metadata=metadata))


def _warn_unwritable(path: Path, error: Exception) -> None:
    warnings.warn(
        f"The cache folder {path.parent} cannot be written ({error}), so this dataset is decoded "
        "again each time. Set WIDER_CACHE_DIR to a folder that can be written.",
        stacklevel=4,
    )
