"""The kinds of data that files may hold, found by their columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import Tensor

from wider.data._columns import listed
from wider.data._dataset import Dataset
from wider.data._sources import Source, opened
from wider.errors import InputError
from wider.registry import Registry

if TYPE_CHECKING:
    import datasets

Splits = Mapping[str, "datasets.Dataset"]
Stored = tuple[dict[str, Tensor], dict[str, Any]]
Data = TypeVar("Data", bound=Dataset)

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
        stored: tensors and what else is kept of a dataset, as JSON has it.
        restored: the dataset of a name that was stored so.
    """

    cls: type[Data]
    fits: Callable[["datasets.Features"], bool]
    needs: str
    decode: Callable[[str, Splits, str, Reading], Data]
    stored: Callable[[Data], Stored]
    restored: Callable[[str, dict[str, Tensor], dict[str, Any]], Data]


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
        _check_splits(splits, source.location)
        kind = _kind_of(splits["train"].features, source.location)
        return kind.decode(name, splits, source.location, reading)


def stored(data: Dataset) -> Stored:
    """Tensors and what else is kept of a dataset."""
    name, kind = next((name, kind) for name, kind in KINDS.items() if type(data) is kind.cls)
    tensors, about = kind.stored(data)
    return tensors, {KIND: name, **about, "digest": data.digest}


def restored(name: str, tensors: dict[str, Tensor], about: dict[str, Any]) -> Dataset:
    """The dataset that was stored so, under a name; its digest is computed anew."""
    return KINDS[about.get(KIND, "images")].restored(name, tensors, about)  # once the only kind


def _check_splits(splits: Splits, location: str) -> None:
    for split in ("train", "test"):
        if split not in splits:
            raise InputError(
                f"The dataset {location} has no split {split!r}, only "
                f"{', '.join(map(repr, splits))}. Name its splits 'train' and 'test': as "
                "train.parquet and test.parquet, or as folders of these names."
            )
        if len(splits[split]) == 0:
            raise InputError(
                f"The split {split!r} of {location} is empty. Put at least one example into it."
            )


def _kind_of(features: "datasets.Features", location: str) -> Kind[Any]:
    found = next((kind for kind in KINDS.values() if kind.fits(features)), None)
    if found is None:
        needed = "; ".join(kind.needs for kind in KINDS.values())
        raise InputError(
            f"The dataset {location} has the columns {listed(features)}, and is of no kind that is "
            f"known. There are {needed}."
        )
    return found
