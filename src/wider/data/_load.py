"""Loading a dataset by name."""

import os
import re
from pathlib import Path

import platformdirs

from wider.data._cache import cached
from wider.data._decode import decode
from wider.data._derived import derived
from wider.data._digits import load_digits
from wider.data._images import ImageData
from wider.data._index import is_prepared, read_index
from wider.data._known import KNOWN, check_known
from wider.data._large_images import LargeImageData, large_images
from wider.data._names import check_name
from wider.data._preprocessing import Preprocessing
from wider.data._sources import Source, folder_source, hub_source
from wider.errors import InputError


def load(
    name: str, *, data_dir: Path | str | None = None, cache_dir: Path | str | None = None
) -> ImageData:
    """Loads a dataset of images: decoded the first time, from a cache on disk after that.

    In `data_dir`, a folder `name` holds one of these, and nothing of it is guessed:

    - `train.parquet` and `test.parquet`, or several numbered files of a split, such as
      `train-00000-of-00002.parquet`, all in the folder or all in one folder within it;
    - images as `train/CLASS/IMAGE` and `test/CLASS/IMAGE`. Classes are the folders of train, in the
      order of their names as text: '10' comes before '2';
    - what `save_to_disk` of a `datasets.DatasetDict` wrote.

    Hidden files, other splits and what else lies beside these are not read. Classes of test are
    those of train of the same names; plain numbers as labels are 0, 1, 2 and so on, each with
    training images. Images are BMP, GIF, JPEG, PNG, PPM, TIFF or WebP files of 8 bits for each
    channel; where they are transparent, they lie on white.

    Args:
        name: "digits" for the 1,797 images of 8x8 pixels that come with scikit-learn; with
            `data_dir` the name of a folder in it; otherwise "mnist", "cifar10", "cifar100",
            "svhn" or any name on the Hugging Face Hub, such as "ylecun/mnist".
        data_dir: the folder that holds a folder `name`. Without it the dataset is downloaded from
            the Hugging Face Hub.
        cache_dir: where decoded images are kept. By default the folder that the environment
            variable `WIDER_CACHE_DIR` names, or else the user's own cache folder.

    Returns:
        Images as 8-bit numbers with one channel if all are grey, with three if any is in colour.

    Raises:
        InputError: if the dataset is unknown, cannot be reached or cannot be read, or if it is
            no set of equally large images, each with a label, with a train and a test split, or
            not the one that its name stands for. Larger images go through `write_shards`.
    """
    check_name(name)
    data_dir = None if data_dir is None else Path(data_dir)
    if name == "digits":
        if data_dir is not None and (data_dir / name).is_dir():
            raise InputError(
                f"digits are the images that come with scikit-learn, and {data_dir / name} is a "
                "folder of that name: rename it to use its images, or leave out --data-dir."
            )
        return load_digits()
    _check_of_one_size(name, data_dir)
    source = hub_source(name) if data_dir is None else folder_source(name, data_dir)
    path = cache_file(name, source, Path(cache_dir or cache_folder()))
    data = cached(path, name, lambda: decode(source))
    check_known(name, num_classes=data.num_classes, channels=data.image_shape[0])
    return data


def load_large(name: str, *, data_dir: Path | str, image_size: int) -> LargeImageData:
    """Opens a dataset of large images that `write_shards` prepared; its pixels stay on disk.

    Args:
        name: of the dataset.
        data_dir: the folder that was the preparation's output.
        image_size: height and width to which images are cropped for training.

    Returns:
        The dataset.

    Raises:
        InputError: it is not there, not finished, damaged, or is not what its name says.
    """
    check_name(name)
    folder = Path(data_dir) / name
    if not is_prepared(folder):
        raise InputError(
            f"image_size is {image_size}, which is for large images, but {folder} holds none that "
            f"are prepared. Make them with `wider prepare {name} --output {data_dir}`, or leave "
            "image_size out if all images have one size."
        )
    data = large_images(read_index(folder), folder, name, image_size)
    check_known(name, num_classes=data.num_classes, channels=data.image_shape[0])
    return data


def load_for(
    preprocessing: Preprocessing, *, data_dir: Path | str | None = None
) -> ImageData | LargeImageData:
    """Loads the dataset that a preprocessing names, with the classes, colours and size it asks for.

    A large one where it has an image size.

    Raises:
        InputError: as `load` and `load_large`.
    """
    name, image_size = preprocessing.dataset, preprocessing.image_size
    if image_size is None:
        return derived(load(name, data_dir=data_dir), preprocessing)
    if preprocessing.classes or preprocessing.grey or preprocessing.shrunk_to:
        raise InputError(
            f"{name} has large images, and classes, grey and shrunk_to are for those that fit in "
            "memory: leave them out"
        )
    if data_dir is None:
        raise InputError(
            f"image_size is {image_size}, which is for large images, and these are read from where "
            f"they were prepared. Run `wider prepare {name} --output DIR`, then pass "
            "--data-dir DIR; or leave image_size out if all images have one size."
        )
    return load_large(name, data_dir=data_dir, image_size=image_size)


def _check_of_one_size(name: str, data_dir: Path | None) -> None:
    if data_dir is not None and is_prepared(data_dir / name):
        raise InputError(
            f"{data_dir / name} holds large images of several sizes: say with image_size to what "
            "size they are cropped (224 for ImageNet)."
        )
    if name in KNOWN and not KNOWN[name].of_one_size:
        raise InputError(
            f"The images of {name} are too many and of too many sizes to be read as they are. Run "
            f"`wider prepare {name} --output DIR`, then pass --data-dir DIR and an image_size."
        )


def cache_file(name: str, source: Source, folder: Path) -> Path:
    """Where the decoded images of a source are kept."""
    plain_name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return folder / f"{plain_name}-{source.fingerprint[:16]}.safetensors"


def cache_folder() -> Path:
    """What `WIDER_CACHE_DIR` names, or else the user's own cache folder of this package."""
    from_environment = os.environ.get("WIDER_CACHE_DIR")
    return Path(from_environment) if from_environment else platformdirs.user_cache_path("wider")
