"""Files of about a thousand stored images each."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from wider.data._index import Shard, Skipped
from wider.data._pixels import BadImageError
from wider.data._reencode import Reencoded, reencode
from wider.files import write_whole

if TYPE_CHECKING:
    from datasets import Dataset

IMAGES_A_SHARD = 1000
COLOURS = 3

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
