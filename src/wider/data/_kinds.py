"""The kinds of data that files may hold: found by their columns, decoded once and kept on disk."""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import platformdirs
import safetensors.torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wider.data._columns import SPLITS, listed
from wider.data._dataset import Dataset
from wider.data._sources import Source, opened, train_and_test
from wider.errors import InputError
from wider.files import remove_partials, write_whole
from wider.registry import Registry

if TYPE_CHECKING:
    import datasets

Splits = Mapping[str, "datasets.Dataset"]
Data = TypeVar("Data", bound=Dataset)
Split = TypeVar("Split")

KIND = "kind"


@dataclass(frozen=True)
class Reading:
    """What tells how files are read, beside the files themselves.

    Attributes:
        target: of a table, the column that is to be said; None for the one that is by default.
        tokenizer: of a text, the content of the tokenizer's file; None for bytes as tokens.
    """

    target: str | None = None
    tokenizer: bytes | None = None


@dataclass(frozen=True)
class Kind(Generic[Data]):
    """One kind of data that files may hold.

    Args:
        cls: of its datasets.
        fits: whether a split with such columns is of this kind, and of no other.
        needs: what it needs, for messages.
        decode: makes a dataset of splits, given its name, where it lies, and how it is read.
        tensors: of a dataset, all that are to be kept.
        about: the names of what else is kept of it, as JSON has it.
        restored: the dataset of a name and of such tensors; what else was kept is given by name.
    """

    cls: type[Data]
    fits: Callable[["datasets.Features"], bool]
    needs: str
    decode: Callable[[str, Splits, str, Reading], Data]
    tensors: Callable[[Data], dict[str, Tensor]]
    about: tuple[str, ...]
    restored: Callable[..., Data]


KINDS: Registry[Kind[Any]] = Registry("kind of data", group="wider.kinds")


def decode(name: str, source: Source, reading: Reading) -> Dataset:
    """Reads and decodes all of a source.

    Args:
        name: of the dataset.
        source: a folder or a dataset on the Hugging Face Hub.
        reading: how it is read.

    Raises:
        InputError: as `wider.data.load_dataset`.
    """
    with opened(source) as splits:
        train_and_test(splits, source.location)
        kind = _kind_of(splits["train"].features, source.location)
        return kind.decode(name, splits, source.location, reading)


def split_tensors(data: Any) -> dict[str, Tensor]:
    """The tensors of both splits of a dataset, each under the name of its split and its own."""
    return {
        f"{split}.{name}": tensor
        for split in SPLITS
        for name, tensor in vars(getattr(data, split)).items()
    }


def splits_of(cls: Callable[..., Split], tensors: Mapping[str, Tensor]) -> dict[str, Split]:
    """The splits of a class that had such tensors; see `split_tensors`."""
    own: dict[str, dict[str, Tensor]] = {split: {} for split in SPLITS}
    for place, tensor in tensors.items():
        split, name = place.split(".")
        own[split][name] = tensor
    return {split: cls(**named) for split, named in own.items()}


def cache_file(name: str, source: Source, folder: Path, reading: Reading) -> Path:
    """Where the decoded data of a source are kept, as they are read."""
    plain_name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    fingerprint = source.fingerprint
    if reading != Reading():
        fingerprint = hashlib.sha256(f"{fingerprint} {reading}".encode()).hexdigest()
    return folder / f"{plain_name}-{fingerprint[:16]}.safetensors"


def cache_folder() -> Path:
    """What `WIDER_CACHE_DIR` names, or else the user's own cache folder of this package."""
    from_environment = os.environ.get("WIDER_CACHE_DIR")
    return Path(from_environment) if from_environment else platformdirs.user_cache_path("wider")


def cached(name: str, source: Source, reading: Reading, folder: Path) -> Dataset:
    """Reads a dataset from its cache file, or decodes its source and writes that file.

    Of several processes that ask at the same time one decodes, and the others wait for its file.
    A file that is torn or was edited is decoded anew. Without write access it works all the same,
    with a warning.

    Args:
        name: the dataset's name as it was asked for.
        source: a folder or a dataset on the Hugging Face Hub.
        reading: how it is read.
        folder: of cache files; it need not exist yet.

    Raises:
        InputError: as `decode`.
    """
    path = cache_file(name, source, folder, reading)
    found = _read(path, name)
    if found is not None:
        return found
    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        _warn_unwritable(path, error)
        return decode(name, source, reading)
    with held:
        found = _read(path, name)
        if found is not None:
            return found
        data = decode(name, source, reading)
        try:
            _write(path, data)
        except OSError as error:
            _warn_unwritable(path, error)
        return data


def _kind_of(features: "datasets.Features", location: str) -> Kind[Any]:
    found = next((kind for kind in KINDS.values() if kind.fits(features)), None)
    if found is None:
        needed = "; ".join(kind.needs for kind in KINDS.values())
        raise InputError(
            f"The dataset {location} has the columns {listed(features)}, and is of no kind that is "
            f"known. There are {needed}."
        )
    return found


def _read(path: Path, name: str) -> Dataset | None:
    """The dataset in a cache file; None if there is no such file, or none to be trusted."""
    try:
        with safe_open(path, framework="pt") as file:
            about = {key: json.loads(value) for key, value in file.metadata().items()}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        kind = KINDS[about.get(KIND, "images")]  # once the only kind
        kept = {key: about[key] for key in kind.about}
        data = kind.restored(name, tensors, **kept)
        return data if data.digest == about["digest"] else None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _write(path: Path, data: Dataset) -> None:
    """Writes a cache file."""
    name, kind = next((name, kind) for name, kind in KINDS.items() if type(data) is kind.cls)
    about = {KIND: name, **{key: getattr(data, key) for key in (*kind.about, "digest")}}
    metadata = {key: json.dumps(value) for key, value in about.items()}
    remove_partials(path.parent, {path.name})  # only the process that holds the lock writes
    write_whole(path, safetensors.torch.save(kind.tensors(data), metadata=metadata))


def _warn_unwritable(path: Path, error: Exception) -> None:
    warnings.warn(
        f"The cache folder {path.parent} cannot be written ({error}), so this dataset is decoded "
        "again each time. Set WIDER_CACHE_DIR to a folder that can be written.",
        stacklevel=5,
    )
