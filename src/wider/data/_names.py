"""What the name of a dataset stands for: which names there may be, which are known, and of what."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wider.data._dataset import Dataset
from wider.errors import InputError
from wider.own_code import is_own
from wider.registry import Registry
from wider.tasks import Task

MOST_BYTES = 200  # file systems allow 255, and files beside the dataset have longer names

DATASETS: Registry[Callable[[], Dataset]] = Registry("dataset", group="wider.datasets")
"""Functions that return a dataset; what they return is the same every time."""


def check_name(name: str) -> None:
    """Does nothing if a name is that of a folder, or an owner's and a folder's.

    Raises:
        InputError: it leads elsewhere, or no folder can have it.
    """
    parts = name.split("/")
    if (
        len(parts) > 2
        or any(part.strip() in ("", ".", "..") for part in parts)
        or any(character in name for character in "\0\\")
        or not 0 < len(os.fsencode(name)) <= MOST_BYTES
        or Path(name).drive
    ):
        shown = repr(name if len(name) <= 80 else f"{name[:80]}...")
        raise InputError(
            f"{shown} is not the name of a dataset. Give the name of a folder in --data-dir, such "
            f"as pets, or OWNER/NAME on the Hugging Face Hub, of {MOST_BYTES} bytes at most; the "
            "folder around it goes into --data-dir."
        )


def is_registered(name: str, data_dir: Path | str | None) -> bool:
    """Whether a name stands for such a dataset, and not for a folder or one of the Hub."""
    if is_own(name):
        return data_dir is None or not Path(data_dir, name).is_dir()
    return name in set(DATASETS)


def registered(name: str) -> Dataset:
    """The dataset of a name.

    Raises:
        InputError: it cannot be found or made, or what is made is no dataset.
    """
    make = DATASETS.find(name)
    data = make() if callable(make) else make
    if not isinstance(data, Dataset):
        raise InputError(
            f"the dataset {name!r} is {type(data).__name__}: name a function without arguments "
            "that returns a wider.data.Dataset, as wider.data.from_arrays makes them"
        )
    return data


@dataclass(frozen=True)
class Known:
    """Facts about a dataset.

    Args:
        hub_name: its name on the Hugging Face Hub; None for what comes with a library.
        num_train: training examples; of text, tokens.
        task: what nets for it take and give; of images of several sizes, for what is usually
            cropped from them.
        hub_config: which of its variants on the Hub, if it has several.
        of_one_size: whether all images have the same height and width.
        test_split: the name on the Hub of the split on which nets are tested.
    """

    hub_name: str | None
    num_train: int
    task: Task
    hub_config: str | None = None
    of_one_size: bool = True
    test_split: str = "test"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width, of images."""
        channels, height, width = self.task.shape
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """How many outputs nets for it have."""
        return self.task.num_outputs


KNOWN = {
    "digits": Known(None, 1297, Task.of_images((1, 8, 8), 10)),
    "mnist": Known("ylecun/mnist", 60_000, Task.of_images((1, 28, 28), 10)),
    "cifar10": Known("uoft-cs/cifar10", 50_000, Task.of_images((3, 32, 32), 10)),
    "cifar100": Known("uoft-cs/cifar100", 50_000, Task.of_images((3, 32, 32), 100)),
    "svhn": Known(
        "ufldl-stanford/svhn", 73_257, Task.of_images((3, 32, 32), 10), hub_config="cropped_digits"
    ),
    # Of SVHN's test images, for a first look: 10,000 of them, split anew.
    "svhn_10k": Known(None, 8001, Task.of_images((3, 32, 32), 10)),
    # The labels of its split "test" are secret, so everyone tests on "validation".
    "imagenet": Known(
        "ILSVRC/imagenet-1k",
        1_281_167,
        Task.of_images((3, 224, 224), 1000),
        of_one_size=False,
        test_split="validation",
    ),
    # Of Python 3.11; of other versions some more or less.
    "python-source": Known(None, 1_500_000, Task.of_tokens(64, 256)),
    "breast-cancer": Known(None, 400, Task("features", (30,), "classes", 2)),
    "diabetes": Known(None, 310, Task("features", (10,), "numbers", 1)),
}


def check_known(name: str, *, num_classes: int, channels: int) -> None:
    """Does nothing unless a dataset bears a known name and is another one.

    Args:
        name: of the dataset.
        num_classes: that it has.
        channels: of its images.

    Raises:
        InputError: the name stands for a dataset with other classes or colours.
    """
    known = KNOWN.get(name)
    if known is None:
        return
    remedy = (
        f"If this is another dataset, rename its folder; if it is {name}, use the files of "
        f"{known.hub_name}."
    )
    if num_classes != known.num_classes:
        raise InputError(
            f"{name} has {known.num_classes} classes, but the dataset of that name here has "
            f"{num_classes}. {remedy}"
        )
    if channels != known.image_shape[0]:
        raise InputError(
            f"The images of {name} are {_colour(known.image_shape[0])}, but those of the dataset "
            f"of that name here are {_colour(channels)}. {remedy}"
        )


def _colour(channels: int) -> str:
    return "grey" if channels == 1 else "in colour"
