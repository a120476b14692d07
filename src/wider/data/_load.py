"""Loading a dataset by name."""

import os
import re
from pathlib import Path

import platformdirs

from wider.data._cache import cached
from wider.data._decode import decode
from wider.data._digits import load_digits
from wider.data._images import ImageData
from wider.data._sources import folder_source, hub_source


def load(name: str, *, data_dir: Path | None = None, cache_dir: Path | None = None) -> ImageData:
    """Loads a dataset of images: decoded the first time, from a cache on disk after that.

    Args:
        name: "digits" for the 1,797 images of 8x8 pixels that come with scikit-learn; with
            `data_dir` the name of a folder in it; otherwise "mnist", "cifar10", "cifar100",
            "svhn" or any name on the Hugging Face Hub, such as "ylecun/mnist".
        data_dir: the folder that holds a folder `name` with `train.parquet` and `test.parquet`,
            or with anything else that `datasets.load_dataset` reads. Without it the dataset is
            downloaded from the Hugging Face Hub.
        cache_dir: where decoded images are kept. By default the folder that the environment
            variable `WIDER_CACHE_DIR` names, or else the user's own cache folder.

    Returns:
        Images as 8-bit numbers with one channel if all are grey, with three if any is in colour.

    Raises:
        InputError: if the dataset is unknown, cannot be reached or cannot be read, or if it is
            no set of equally large images, each with a label, with a train and a test split.
    """
    if name == "digits":
        return load_digits()
    source = hub_source(name) if data_dir is None else folder_source(name, data_dir)
    plain_name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    cache_file = f"{plain_name}-{source.fingerprint[:16]}.safetensors"
    return cached(_cache_folder(cache_dir) / cache_file, name, lambda: decode(source))


def _cache_folder(cache_dir: Path | None) -> Path:
    if cache_dir is not None:
        return cache_dir
    from_environment = os.environ.get("WIDER_CACHE_DIR")
    return Path(from_environment) if from_environment else platformdirs.user_cache_path("wider")
