"""Opening the files of a folder as datasets of the library of that name."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from wider.data._folders import SplitFiles
from wider.data._plain_files import csv_table, text_table
from wider.errors import InputError
from wider.files import PARTIAL

if TYPE_CHECKING:
    from datasets import Dataset

PLAIN = {".txt": text_table, ".csv": csv_table}
ROWS = 1000  # that are unpacked at a time


def opened_files(
    splits: Mapping[str, SplitFiles], scratch: Path, prefix: str
) -> "dict[str, Dataset]":
    """Opens the files of each split.

    Args:
        splits: their files.
        scratch: a folder for what is unpacked; what an earlier call unpacked there is used.
        prefix: of the names of files there, another one for other files.

    Returns:
        Splits of which the rows stay on disk, their images still encoded.

    Raises:
        InputError: the files of a split do not go together.
    """
    from datasets import concatenate_datasets  # noqa: PLC0415

    scratch.mkdir(parents=True, exist_ok=True)
    opened = {}
    for split, files in splits.items():
        if files.classes:
            opened[split] = _of_classes(files.classes, scratch / f"{prefix}-{split}.arrow")
            continue
        parts = [
            _of_table(path, scratch / f"{prefix}-{split}-{number}.arrow")
            for number, path in enumerate(files.tables)
        ]
        _check_same_columns(parts, files.tables)
        opened[split] = concatenate_datasets(parts)
    return opened


def check_paths(splits: "Mapping[str, Dataset]", folders: Sequence[Path]) -> None:
    """Does nothing if tables name no image files but in some folders.

    Args:
        splits: of which a column may hold images as "bytes" or the "path" to them.
        folders: where files may be.

    Raises:
        InputError: a file is elsewhere.
    """
    for split, rows in splits.items():
        for column in rows.data.columns:
            if pa.types.is_struct(column.type) and {"bytes", "path"} <= set(column.type.names):
                for path in _named(column):
                    if not any(_is_within(path, folder) for folder in folders):
                        raise InputError(
                            f"The split {split!r} names the file {path} in place of an image, and "
                            f"only files in {folders[0]} are read. Store the images themselves."
                        )


def _is_within(path: str, folder: Path) -> bool:
    # Without following links: those are the user's own.
    whole, around = (Path(os.path.abspath(one)) for one in (path, folder))  # noqa: PTH100
    return whole.is_relative_to(around)


def _named(column: pa.ChunkedArray) -> Iterable[str]:
    """The files that rows name in place of an image."""
    for chunk in column.chunks:
        absent, paths = chunk.field("bytes").is_null(), chunk.field("path")
        yield from (path for path in paths.filter(absent).to_pylist() if path is not None)


def _of_classes(classes: Mapping[str, Sequence[Path]], target: Path) -> "Dataset":
    import datasets  # noqa: PLC0415

    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=list(classes))
    )
    paths = [str(path) for images in classes.values() for path in images]
    labels = [label for label, images in enumerate(classes.values()) for _ in images]
    held = {"bytes": pa.nulls(len(paths), pa.binary()), "path": pa.array(paths, pa.string())}
    image = pa.StructArray.from_arrays(list(held.values()), list(held))
    table = pa.table(
        {"image": image, "label": pa.array(labels, pa.int64())}, schema=features.arrow_schema
    )
    return _on_disk(table.schema, table.to_batches(), target)


def _of_table(path: Path, target: Path) -> "Dataset":
    from datasets import Dataset  # noqa: PLC0415

    if path.suffix in PLAIN:
        table = PLAIN[path.suffix](path)
        return _on_disk(table.schema, table.to_batches(ROWS), target)
    if path.suffix != ".parquet":  # saved by datasets: read where it is
        return Dataset.from_file(str(path))
    try:
        with pq.ParquetFile(path) as file:
            return _on_disk(file.schema_arrow, file.iter_batches(ROWS), target)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} cannot be read: {error} Copy it again.") from error


def _on_disk(schema: pa.Schema, batches: Iterable[pa.RecordBatch], target: Path) -> "Dataset":
    from datasets import Dataset  # noqa: PLC0415

    if not target.exists():
        partial = target.with_suffix(PARTIAL)
        with partial.open("wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        partial.replace(target)
    return Dataset.from_file(str(target))


def _check_same_columns(parts: "Sequence[Dataset]", paths: Sequence[Path]) -> None:
    for part, path in zip(parts, paths, strict=True):
        if part.features != parts[0].features:
            raise InputError(
                f"{path} and {paths[0]} are of one split and have other columns, types or names of "
                "classes. Write them alike."
            )
