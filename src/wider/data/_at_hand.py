"""The dataset that was loaded last, as long as its files stay as they are."""

from functools import lru_cache
from pathlib import Path

from wider.data._images import ImageData
from wider.data._index import INDEX, is_prepared
from wider.data._large_images import LargeImageData
from wider.data._load import cache_file, cache_folder, load_for
from wider.data._names import check_name
from wider.data._preprocessing import Preprocessing
from wider.data._sources import folder_source, hub_source

DIGITS = "digits"


def at_hand(
    preprocessing: Preprocessing, *, data_dir: Path | None = None
) -> ImageData | LargeImageData:
    """What `load_for` returns; the last one is kept, and read again if its files have changed.

    Raises:
        InputError: as `load_for`.
    """
    check_name(preprocessing.dataset)
    return _loaded(preprocessing.as_loaded, data_dir, _state(preprocessing, data_dir))


def digest_at_hand(preprocessing: Preprocessing, *, data_dir: Path | None = None) -> str | None:
    """The digest of a dataset as it is now; None where it is not on this machine.

    Args:
        preprocessing: that names the dataset.
        data_dir: the folder of datasets; see `load`. Without it a dataset of the Hugging Face Hub
            is at hand if it was decoded before.

    Raises:
        InputError: it is there, and cannot be read.
    """
    name = preprocessing.dataset
    check_name(name)
    if name == DIGITS:
        place = None
    elif data_dir is not None:
        place = data_dir / name
    else:
        place = cache_file(name, hub_source(name), cache_folder())
    if place is not None and not place.exists():
        return None
    return at_hand(preprocessing, data_dir=data_dir).digest


def _state(preprocessing: Preprocessing, data_dir: Path | None) -> str:
    """Changes when the files of a dataset may have changed."""
    name = preprocessing.dataset
    if name == DIGITS:
        return name
    if data_dir is None:
        return hub_source(name).fingerprint
    folder = data_dir / name
    if preprocessing.image_size is None and not is_prepared(folder):
        return folder_source(name, data_dir).fingerprint
    index = folder / INDEX
    return str(index.stat().st_mtime_ns) if index.exists() else "not prepared"


# One run after another usually wants the same images; two sets of them may not fit.
@lru_cache(maxsize=1)
def _loaded(
    preprocessing: Preprocessing,
    data_dir: Path | None,
    state: str,  # noqa: ARG001 - tells one state of the files from another
) -> ImageData | LargeImageData:
    return load_for(preprocessing, data_dir=data_dir)
