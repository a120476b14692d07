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
TEXT = ("string", "large_string")  # types of columns
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
    """Reads the labels of the images of both splits; see `labels_in`."""
    columns = {split: label_column(splits[split].features, location) for split in SPLITS}
    return labels_in(splits, columns, location, "image")


def labels_in(
    splits: "Mapping[str, Dataset]", columns: Mapping[str, str], location: str, noun: str
) -> Labelled:
    """Reads the labels of both splits; classes with names are known by them.

    Args:
        splits: "train" and "test".
        columns: which of each split are the labels: whole numbers, of a ClassLabel or plain, or
            the names of classes, which then are in the order of the names as text.
        location: where the dataset lies, for messages.
        noun: what has a label, for messages.

    Raises:
        InputError: there are some that stand for no class, or test examples of a class that
            training does not have.
    """
    names = {split: _names(splits[split], columns[split]) for split in SPLITS}
    stored = {
        split: _stored_labels(splits[split], split, columns[split], names[split], noun)
        for split in SPLITS
    }
    train, test = names["train"], names["test"]
    if train is None and test is None:
        return _numbered(stored, location, noun)
    if train is None or test is None:
        named, plain = ("test", "train") if train is None else ("train", "test")
        raise InputError(
            f"The labels of {named} of {location} have the names of classes, and those of {plain} "
            "are plain numbers: give both splits the same ClassLabel."
        )
    _check_one_form(train, location)
    labels = {
        "train": stored["train"],
        "test": _mapped(stored["test"], test, train, location, noun),
    }
    return Labelled(labels, train, _notes(train, labels["train"], noun))


def _names(dataset: "Dataset", column: str) -> tuple[str, ...] | None:
    from datasets import ClassLabel  # noqa: PLC0415

    feature = dataset.features[column]
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    if getattr(feature, "dtype", None) in TEXT:
        return tuple(sorted(set(dataset[column][:]) - {None}))
    return None


def _stored_labels(
    dataset: "Dataset", split: str, column: str, names: tuple[str, ...] | None, noun: str
) -> Labels:
    labels = dataset[column][:]
    if names is not None and getattr(dataset.features[column], "dtype", None) in TEXT:
        places = {name: place for place, name in enumerate(names)}
        labels = [places.get(label) for label in labels]
    allowed = "from 0" if names is None else f"from 0 to {len(names) - 1}"
    for index, label in enumerate(labels):
        if label is None or label < 0 or (names is not None and label >= len(names)):
            raise InputError(
                f"The label of {noun} {index} of {split}, in column {column!r}, is {label}. "
                f"Labels must be whole numbers {allowed}: correct it or leave it out."
            )
    return torch.tensor(labels, dtype=torch.int64)


def _numbered(labels: dict[str, Labels], location: str, noun: str) -> Labelled:
    """Classes that are their numbers: each number up to the highest has to be one of them."""
    train, test = (set(labels[split].tolist()) for split in SPLITS)
    gaps = sorted(set(range(len(train))) - train)
    if gaps:
        raise InputError(
            f"The labels of train of {location} are {len(train)} different numbers from "
            f"{min(train)} to {max(train)}, and no {noun} has the label {gaps[0]}; a net would "
            f"have an output for it. Number the classes from 0 to {len(train) - 1}."
        )
    if test - train:
        raise InputError(
            f"No {noun} of train of {location} has the label {min(test - train)}, which {noun}s of "
            f"test have. Labels of train are 0 to {len(train) - 1}: leave these {noun}s out."
        )
    return Labelled(labels, tuple(str(label) for label in range(len(train))), ())


def _mapped(
    labels: Labels, names: tuple[str, ...], classes: tuple[str, ...], location: str, noun: str
) -> Labels:
    """The same classes by their places in `classes`."""
    places = {name: place for place, name in enumerate(classes)}
    unknown = [names[label] for label in labels.unique().tolist() if names[label] not in places]
    if unknown:
        raise InputError(
            f"Test {noun}s of {location} are of classes that train does not have: "
            f"{_listed(unknown, repr if str(unknown).isascii() else ascii)}. Those of train are "
            f"{_listed(classes, repr)}. Rename these classes or leave their {noun}s out."
        )
    return torch.tensor([places.get(name, -1) for name in names])[labels]


def _check_one_form(classes: tuple[str, ...], location: str) -> None:
    for one, other in _alike(classes, lambda name: unicodedata.normalize("NFC", name)):
        raise InputError(
            f"Two classes of {location} have the same name, written in Unicode in two ways: "
            f"{one!a} and {other!a}. Give them one name or two different ones."
        )


def _notes(classes: tuple[str, ...], train: Labels, noun: str) -> tuple[str, ...]:
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
            f"{len(absent)} of the {len(classes)} classes have no training {noun} ({named}), and "
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
