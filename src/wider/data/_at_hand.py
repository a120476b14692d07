"""The dataset that was loaded last, as long as its files stay as they are."""

from functools import lru_cache
from pathlib import Path

from wider.data._dataset import Dataset, check_fields
from wider.data._index import INDEX, is_prepared
from wider.data._kinds import Reading
from wider.data._load import cache_file, cache_folder, load_for
from wider.data._names import check_name
from wider.data._preprocessing import Preprocessing
from wider.data._registered import is_registered
from wider.data._sources import folder_source, hub_source
from wider.errors import InputError
from wider.own_code import is_own, source_digest


def at_hand(preprocessing: Preprocessing, *, data_dir: Path | None = None) -> Dataset:
    """What `load_for` returns; the last one is kept, and read again if its files have changed.

    Raises:
        InputError: as `load_for`.
    """
    state = _state(preprocessing, data_dir)
    data = _loaded(preprocessing.as_read, data_dir, state)
    check_fields(type(data), preprocessing.dataset, preprocessing)
    return data.adapted(preprocessing)


def digest_at_hand(preprocessing: Preprocessing, *, data_dir: Path | None = None) -> str | None:
    """The digest of a dataset as it is now; None where it is not on this machine.

    Args:
        preprocessing: that names the dataset.
        data_dir: the folder of datasets; see `load`. Without it a dataset of the Hugging Face Hub
            is at hand if it was decoded before.

    Raises:
        InputError: it is there, and cannot be read.
    """
    if not _is_here(preprocessing, data_dir):
        return None
    return at_hand(preprocessing, data_dir=data_dir).digest


def _is_here(preprocessing: Preprocessing, data_dir: Path | None) -> bool:
    name = preprocessing.dataset
    if is_registered(name, data_dir):
        return not is_own(name) or _own_state(name) is not None
    check_name(name)
    if data_dir is not None:
        return (data_dir / name).exists()
    reading = Reading(preprocessing.target)  # a tokenizer's file lies in a folder
    return cache_file(name, hub_source(name), cache_folder(), reading).exists()


def _state(preprocessing: Preprocessing, data_dir: Path | None) -> str:
    """Changes when the files of a dataset may have changed."""
    name = preprocessing.dataset
    if is_registered(name, data_dir):
        return (_own_state(name) if is_own(name) else None) or name
    check_name(name)
    if data_dir is None:
        return hub_source(name).fingerprint
    folder = data_dir / name
    if preprocessing.image_size is None and not is_prepared(folder):
        files = folder_source(name, data_dir).fingerprint
        return f"{files} {_changed(folder / (preprocessing.tokenizer or ''))}"
    return _changed(folder / INDEX)


def _changed(path: Path) -> str:
    return str(path.stat().st_mtime_ns) if path.is_file() else "not there"


def _own_state(name: str) -> str | None:
    """Changes with a user's own code; None where it is not on this machine."""
    try:
        return source_digest([name])
    except InputError:
        return None


# One run after another usually wants the same data; two sets of them may not fit.
@lru_cache(maxsize=1)
def _loaded(
    preprocessing: Preprocessing,
    data_dir: Path | None,
    state: str,  # noqa: ARG001 - tells one state of the files from another
) -> Dataset:
    return load_for(preprocessing, data_dir=data_dir)
