"""Loading a dataset: by its name, or as a preprocessing wants it."""

from functools import lru_cache
from pathlib import Path

from wider.data._dataset import Dataset, Preprocessing, check_fields
from wider.data._kinds import Reading, cache_file, cache_folder, cached
from wider.data._names import KNOWN, check_known, check_name, is_registered, registered
from wider.data._sources import Source, folder_source, hub_source
from wider.data.images import (
    INDEX,
    ImageData,
    LargeImageData,
    derived,
    is_prepared,
    large_images,
    read_index,
)
from wider.errors import InputError
from wider.own_code import is_own, source_digest


def load(
    name: str, *, data_dir: Path | str | None = None, cache_dir: Path | str | None = None
) -> ImageData:
    """Loads a dataset of images, as `load_dataset` does.

    Raises:
        InputError: as `load_dataset`, or it is no dataset of images.
    """
    data = _loaded(name, data_dir, cache_dir)
    if not isinstance(data, ImageData):
        raise InputError(
            f"{name} is of {data.kind}, and load is for images of one size: use load_dataset, or "
            "store images in one column of type Image"
        )
    return data


def load_dataset(
    name: str,
    *,
    data_dir: Path | str | None = None,
    cache_dir: Path | str | None = None,
    target: str | None = None,
    tokenizer: str | None = None,
) -> Dataset:
    """Loads a dataset: decoded the first time, from a cache on disk after that.

    In `data_dir`, a folder `name` holds one of these, and nothing of it is guessed:

    - `train.parquet` and `test.parquet`, or several numbered files of a split, such as
      `train-00000-of-00002.parquet`, all in the folder or all in one folder within it;
    - images as `train/CLASS/IMAGE` and `test/CLASS/IMAGE`. Classes are the folders of train, in the
      order of their names as text: '10' comes before '2';
    - what `save_to_disk` of a `datasets.DatasetDict` wrote;
    - texts as `train.txt` and `test.txt`, and maybe `validation.txt`, in UTF-8;
    - tables as `train.csv` and `test.csv`, whose first line names the columns.

    Hidden files, other splits and what else lies beside these are not read.

    What the columns hold decides of what kind the dataset is:

    - Images: a column of type Image, or of encoded images that is called 'image' or 'img'. Images
      are BMP, GIF, JPEG, PNG, PPM, TIFF or WebP files of 8 bits for each channel; where they are
      transparent, they lie on white. Classes of test are those of train of the same names; plain
      numbers as labels are 0, 1, 2 and so on, each with training images.
    - Text: otherwise, a column 'text' of strings. Several rows or files of a split are joined by
      line ends.
    - A table: otherwise, columns of numbers, one of which is the target. A target of text, or of a
      ClassLabel, is a class by its name; one of whole numbers from 0 to k - 1 is a class by its
      number, with k from 2 to 1,000 and two rows or more for each on average; other whole numbers
      are refused. A target of floating-point numbers is a number.

    Args:
        name: "digits", "python-source", "breast-cancer" or "diabetes", which come with Python and
            scikit-learn; `module:name` of a function of your own that returns a dataset; with
            `data_dir` the name of a folder in it; otherwise "mnist", "cifar10", "cifar100",
            "svhn" or any name on the Hugging Face Hub, such as "ylecun/mnist".
        data_dir: the folder that holds a folder `name`. Without it the dataset is downloaded from
            the Hugging Face Hub.
        cache_dir: where decoded data are kept. By default the folder that the environment variable
            `WIDER_CACHE_DIR` names, or else the user's own cache folder.
        target: of a table, the column that is to be said; by default "target" or "label", or else
            the last one.
        tokenizer: of a text, a file of the `tokenizers` library in its folder; by default bytes are
            tokens.

    Returns:
        Images as 8-bit numbers with one channel if all are grey, with three if any is in colour
        (`ImageData`); a text (`TextData`); a table (`TableData`).

    Raises:
        InputError: if the dataset is unknown, cannot be reached or cannot be read, if it is of no
            kind that is known, such as images that are not all of one size, or not the one that
            its name stands for. Larger images go through `write_shards`.
    """
    return _loaded(name, data_dir, cache_dir, target, tokenizer)


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


def load_for(preprocessing: Preprocessing, *, data_dir: Path | str | None = None) -> Dataset:
    """Loads the dataset that a preprocessing names, with all that it says of its task.

    A large one where it has an image size.

    Raises:
        InputError: as `load_dataset` and `load_large`, or it asks for what data of this kind do not
            have.
    """
    name, image_size = preprocessing.dataset, preprocessing.image_size
    if image_size is None or is_registered(name, data_dir):
        data = load_dataset(
            name,
            data_dir=data_dir,
            target=preprocessing.target,
            tokenizer=preprocessing.tokenizer,
        )
    elif data_dir is None:
        raise InputError(
            f"image_size is {image_size}, which is for large images, and these are read from where "
            f"they were prepared. Run `wider prepare {name} --output DIR`, then pass "
            "--data-dir DIR; or leave image_size out if all images have one size."
        )
    else:
        check_fields(LargeImageData, name, preprocessing)
        data = load_large(name, data_dir=data_dir, image_size=image_size)
    check_fields(type(data), name, preprocessing)
    if isinstance(data, ImageData):
        data = derived(data, preprocessing)
    return data.adapted(preprocessing)


def at_hand(preprocessing: Preprocessing, *, data_dir: Path | None = None) -> Dataset:
    """What `load_for` returns; the last one is kept, and read again if its files have changed.

    Raises:
        InputError: as `load_for`.
    """
    state = _state(preprocessing, data_dir)
    data = _last_loaded(preprocessing.as_read, data_dir, state)
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


def _loaded(
    name: str,
    data_dir: Path | str | None,
    cache_dir: Path | str | None,
    target: str | None = None,
    tokenizer: str | None = None,
) -> Dataset:
    data_dir = None if data_dir is None else Path(data_dir)
    needs_no_files = is_registered(name, data_dir)
    if needs_no_files:
        if data_dir is not None and (data_dir / name).is_dir():
            raise InputError(
                f"{name} is a dataset that needs no files, and {data_dir / name} is a folder of "
                "that name: rename it to use what it holds, or leave out --data-dir."
            )
        data = registered(name)
    else:
        check_name(name)
        _check_of_one_size(name, data_dir)
        source = hub_source(name) if data_dir is None else folder_source(name, data_dir)
        reading = Reading(target, _tokenizer(source, tokenizer))
        data = cached(name, source, reading, Path(cache_dir or cache_folder()))
        _check_known(name, data)
    for field, value in (("target", target), ("tokenizer", tokenizer)):
        if value is not None and (needs_no_files or field not in data.fields):
            raise InputError(
                f"{field} is {value!r}, but {name} is of {data.kind} and has no such choice: leave "
                f"{field} out"
            )
    return data


def _check_known(name: str, data: Dataset) -> None:
    if isinstance(data, ImageData):
        check_known(name, num_classes=data.num_classes, channels=data.image_shape[0])
    elif name in KNOWN:
        raise InputError(
            f"{name} is a dataset of {KNOWN[name].task.input}, but the one of that name here is of "
            f"{data.kind}. Rename its folder."
        )


def _tokenizer(source: Source, name: str | None) -> bytes | None:
    """The content of a tokenizer's file, which lies in the dataset's folder."""
    if name is None:
        return None
    if source.files is None:
        raise InputError(
            f"tokenizer is {name!r}, a file in the folder of a dataset, and {source.location} is "
            "on the Hugging Face Hub: put the text and the file into a folder, or leave it out"
        )
    path = Path(source.location) / name
    if Path(name).name != name or not path.is_file():
        raise InputError(
            f"tokenizer is {name!r}, and there is no such file in {source.location}: put it there "
            "and give its name, such as tokenizer.json"
        )
    return path.read_bytes()


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
def _last_loaded(
    preprocessing: Preprocessing,
    data_dir: Path | None,
    state: str,  # noqa: ARG001 - tells one state of the files from another
) -> Dataset:
    return load_for(preprocessing, data_dir=data_dir)
