"""The table of contents of prepared large images."""

import hashlib
import json
from pathlib import Path
from typing import Annotated

import pydantic

from wider.errors import InputError

INDEX, SOURCE = "index.json", "preparation.json"


class Shard(pydantic.BaseModel, frozen=True):
    """A file of some images of one split."""

    file: str
    """Its name in the folder of the index."""
    count: Annotated[int, pydantic.Field(ge=0)]
    """Images in it."""
    num_bytes: int
    """Its size."""
    digest: str
    """SHA-256 of its labels and its encoded images."""


class Skipped(pydantic.BaseModel, frozen=True):
    """An image that could not be decoded and was left out."""

    split: str
    """Where it is in the source."""
    row: int
    """At which place."""
    name: str
    """Of its file, if it has one."""
    reason: str
    """What is wrong with it."""


class Index(pydantic.BaseModel, frozen=True):
    """What a folder of prepared large images holds; see `write_shards`."""

    name: str
    """Of the dataset."""
    classes: tuple[str, ...]
    """Their names, in label order."""
    splits: dict[str, tuple[Shard, ...]]
    """The shards of each split, in order."""
    counts: dict[str, int]
    """Images in each split."""
    digest: str
    """SHA-256 of the class names and of all shards' digests."""
    encoding: str
    """File format of the stored images."""
    rule: str
    """How they were made from those of the source."""
    source: str
    """Fingerprint of the source; see `wider.data._sources`."""
    skipped: tuple[Skipped, ...]
    """Images of the source that are not here."""
    notes: tuple[str, ...] = ()
    """What a user should know of the classes."""


def content_digest(classes: tuple[str, ...], splits: dict[str, tuple[Shard, ...]]) -> str:
    """The SHA-256 of everything that a network can see of prepared images."""
    digests = {name: [shard.digest for shard in shards] for name, shards in splits.items()}
    return hashlib.sha256(json.dumps([classes, digests], sort_keys=True).encode()).hexdigest()


def is_prepared(folder: Path) -> bool:
    """Whether a folder is one that `write_shards` makes, finished or not."""
    return (folder / SOURCE).is_file()


def read_index(folder: Path) -> Index:
    """Reads the index of a folder and looks whether its shards are there.

    Args:
        folder: of prepared images; see `is_prepared`.

    Returns:
        The index.

    Raises:
        InputError: the preparation is not finished, or files are missing or damaged.
    """
    remedy = "Run the `wider prepare` command that made it again."
    try:
        index = Index.model_validate_json((folder / INDEX).read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"The preparation of {folder} is not finished. {remedy}") from error
    except ValueError as error:
        raise InputError(f"{folder / INDEX} is damaged. Remove {folder}. {remedy}") from error
    for shard in (shard for shards in index.splits.values() for shard in shards):
        path = folder / shard.file
        if not path.is_file() or path.stat().st_size != shard.num_bytes:
            raise InputError(
                f"{path} is missing or damaged. Remove it, if it is there, and {folder / INDEX}. "
                f"{remedy}"
            )
    return index
