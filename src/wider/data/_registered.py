"""Datasets that are found by name without files of their own, and a user's own."""

from collections.abc import Callable
from pathlib import Path

from wider.data._dataset import Dataset
from wider.errors import InputError
from wider.own_code import is_own
from wider.registry import Registry

DATASETS: Registry[Callable[[], Dataset]] = Registry("dataset", group="wider.datasets")
"""Functions that return a dataset; what they return is the same every time."""


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
