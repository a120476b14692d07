"""The labels of a dataset, and the classes that they stand for."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from wider.data._columns import label_column
from wider.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "test")
SHOWN = 5  # classes that a message names

Labels = Int64[Tensor, "images"]


class Labelled(NamedTuple):
    """What the labels of both splits say.

    Attributes:
        labels: of each split, from 0 to the number of classes less one.
        classes: the name of each class, in label order.
        notes: what a user should know of the classes.
    """

    labels: dict[str, Labels]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def labels_of(splits: "Mapping[str, Dataset]", location: str) -> Labelled:
    """Reads the labels of both splits; classes with names are known by them.

    Args:
        splits: "train" and "test".
        location: where the dataset lies, for messages.

    Raises:
        InputError: there are no labels, or some that stand for no class, or test images of a class
            that training does not have.
    """
    columns = {split: label_column(splits[split].features, location) for split in SPLITS}
    names = {split: _names(splits[split], columns[split]) for split in SPLITS}
    stored = {
        split: _stored_labels(splits[split], split, columns[split], names[split])
        for split in SPLITS
    }
    train, test = names["train"], names["test"]
    if train is None and test is None:
        return _numbered(stored, location)
    if train is None or test is None:
        named, plain = ("test", "train") if train is None else ("train", "test")
        raise InputError(
            f"The labels of {named} of {location} have the names of classes, and those of {plain} "
            "are plain numbers: give both splits the same ClassLabel."
        )
    _check_one_form(train, location)
    labels = {"train": stored["train"], "test": _mapped(stored["test"], test, train, location)}
    return Labelled(labels, train, _notes(train, labels["train"]))


def _names(dataset: "Dataset", column: str) -> tuple[str, ...] | None:
    from datasets import ClassLabel  # noqa: PLC0415

    feature = dataset.features[column]
    return tuple(feature.names) if isinstance(feature, ClassLabel) else None


def _stored_labels(
    dataset: "Dataset", split: str, column: str, names: tuple[str, ...] | None
) -> Labels:
    labels = dataset[column][:]
    allowed = "from 0" if names is None else f"from 0 to {len(names) - 1}"
    for index, label in enumerate(labels):
        if label is None or label < 0 or (names is not None and label >= len(names)):
            raise InputError(
                f"The label of image {index} of {split}, in column {column!r}, is {label}. "
                f"Labels must be whole numbers {allowed}: correct it or leave it out."
            )
    return torch.tensor(labels, dtype=torch.int64)


def _numbered(labels: dict[str, Labels], location: str) -> Labelled:
    """Classes that are their numbers: each number up to the highest has to be one of them."""
    train, test = (set(labels[split].tolist()) for split in SPLITS)
    gaps = sorted(set(range(len(train))) - train)
    if gaps:
        raise InputError(
            f"The labels of train of {location} are {len(train)} different numbers from "
            f"{min(train)} to {max(train)}, and no image has the label {gaps[0]}; a net would have "
            f"an output for it. Number the classes from 0 to {len(train) - 1}."
        )
    if test - train:
        raise InputError(
            f"No image of train of {location} has the label {min(test - train)}, which images of "
            f"test have. Labels of train are 0 to {len(train) - 1}: leave these images out."
        )
    return Labelled(labels, tuple(str(label) for label in range(len(train))), ())


def _mapped(
    labels: Labels, names: tuple[str, ...], classes: tuple[str, ...], location: str
) -> Labels:
    """The same classes by their places in `classes`."""
    places = {name: place for place, name in enumerate(classes)}
    unknown = [names[label] for label in labels.unique().tolist() if names[label] not in places]
    if unknown:
        raise InputError(
            f"Test images of {location} are of classes that train does not have: "
            f"{_listed(unknown, repr if str(unknown).isascii() else ascii)}. Those of train are "
            f"{_listed(classes, repr)}. Rename these classes or leave their images out."
        )
    return torch.tensor([places.get(name, -1) for name in names])[labels]


def _check_one_form(classes: tuple[str, ...], location: str) -> None:
    for one, other in _alike(classes, lambda name: unicodedata.normalize("NFC", name)):
        raise InputError(
            f"Two classes of {location} have the same name, written in Unicode in two ways: "
            f"{one!a} and {other!a}. Give them one name or two different ones."
        )


def _notes(classes: tuple[str, ...], train: Labels) -> tuple[str, ...]:
    notes = [
        f"classes {one!r} and {other!r} have almost the same name; they count as two"
        for one, other in _alike(
            classes, lambda name: unicodedata.normalize("NFKC", name).strip().casefold()
        )
    ]
    absent = sorted(set(range(len(classes))) - set(train.tolist()))
    if absent:
        named = _listed([classes[label] for label in absent], repr)
        notes.append(
            f"{len(absent)} of the {len(classes)} classes have no training image ({named}), and "
            "nets have an output for each of them all the same"
        )
    return tuple(notes)


def _alike(names: Sequence[str], key: Callable[[str], str]) -> list[tuple[str, str]]:
    """Names of one key, each with the first of that key."""
    first: dict[str, str] = {}
    pairs = [(first.setdefault(key(name), name), name) for name in names]
    return [(one, other) for one, other in pairs if one != other]


def _listed(names: Sequence[str], shown: Callable[[str], str]) -> str:
    return ", ".join(map(shown, names[:SHOWN])) + (", ..." if names[SHOWN:] else "")
