"""Stored large images: files of about a thousand each, and the index that says what they hold."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import pyarrow as pa
import pydantic

from wider.data.images._files import COLOURS, BadImageError, Reencoded, reencode
from wider.errors import InputError
from wider.files import write_whole

if TYPE_CHECKING:
    from datasets import Dataset

INDEX, SOURCE = "index.json", "preparation.json"
IMAGES_A_SHARD = 1000

# Arrow and not Parquet: an image is read from the mapped file without the thousand beside it.
SCHEMA = pa.schema(
    {
        "image": pa.binary(),
        "label": pa.int64(),
        "height": pa.int32(),
        "width": pa.int32(),
        "sums": pa.list_(pa.int64(), COLOURS),
        "squares": pa.list_(pa.int64(), COLOURS),
    }
)


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


def index_digest(classes: tuple[str, ...], splits: dict[str, tuple[Shard, ...]]) -> str:
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


class Plan(NamedTuple):
    """Which images of the source become a shard.

    Attributes:
        file: the shard's name.
        split: of the source.
        start: the first image.
        stop: the one after the last.
    """

    file: str
    split: str
    start: int
    stop: int


def plans(split: str, count: int) -> list[Plan]:
    """The shards of a split of so many images."""
    return [
        Plan(f"{split}-{start // IMAGES_A_SHARD:05}.arrow", split, start, stop)
        for start in range(0, count, IMAGES_A_SHARD)
        for stop in [min(start + IMAGES_A_SHARD, count)]
    ]


def write_shard(
    folder: Path, plan: Plan, images: "Dataset", labels: Sequence[int], location: str
) -> None:
    """Stores the images of one shard, all of it or nothing.

    Args:
        folder: where.
        plan: which shard.
        images: of the shard, still encoded, in their only column.
        labels: of the same images.
        location: of the source; the files' names are shortened by it.
    """
    (column,) = images.column_names
    stored: list[Reencoded] = []
    kept: list[int] = []
    skipped: list[Skipped] = []
    for place, record in enumerate(images[column]):
        try:
            stored.append(reencode(record))
            kept.append(labels[place])
        except BadImageError as error:
            name = _short(record["path"], location)
            row = plan.start + place
            skipped.append(Skipped(split=plan.split, row=row, name=name, reason=str(error)))
    columns = dict(zip(Reencoded._fields, zip(*stored, strict=True), strict=True)) if stored else {}
    columns = {**columns, "image": columns.get("content", ()), "label": kept}
    digests = [hashlib.sha256(image.content).digest() for image in stored]
    about = {
        "digest": _digest(digests, kept),
        "images": [digest.hex() for digest in digests],
        "skipped": [image.model_dump() for image in skipped],
    }
    schema = SCHEMA.with_metadata({"wider": json.dumps(about)})
    batch = pa.record_batch(
        [pa.array(columns.get(field.name, ()), field.type) for field in schema], schema=schema
    )
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, schema) as writer:
        writer.write_batch(batch)
    write_whole(folder / plan.file, buffer.getvalue())


def opened_shard(path: Path) -> pa.RecordBatch:
    """The images of a shard, read from the mapped file only when they are looked at."""
    return pa.ipc.open_file(pa.memory_map(os.fspath(path))).get_batch(0)


class Described(NamedTuple):
    """A shard as it lies there.

    Attributes:
        shard: what it holds.
        skipped: images that it does not hold.
        images: a digest of each image that it holds.
    """

    shard: Shard
    skipped: tuple[Skipped, ...]
    images: tuple[str, ...]


def described(path: Path) -> Described | None:
    """What a shard holds; None if it is missing or cannot be read."""
    try:
        batch = opened_shard(path)
        about = json.loads(batch.schema.metadata[b"wider"])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None
    shard = Shard(
        file=path.name,
        count=batch.num_rows,
        num_bytes=path.stat().st_size,
        digest=about["digest"],
    )
    skipped = tuple(Skipped(**image) for image in about["skipped"])
    return Described(shard, skipped, tuple(about["images"]))


def _digest(images: Sequence[bytes], labels: Sequence[int]) -> str:
    digest = hashlib.sha256(np.asarray(labels, dtype="<i8").tobytes())
    for image in images:
        digest.update(image)
    return digest.hexdigest()


def _short(path: str | None, location: str) -> str:
    return "" if path is None else path.removeprefix(location).lstrip("/\\")
