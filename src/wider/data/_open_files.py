"""Opening the files of a folder as datasets of the library of that name."""

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from wider.data._columns import TEXT
from wider.data._folders import SplitFiles
from wider.errors import InputError
from wider.files import PARTIAL

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

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
        InputError: a file cannot be read, or those of a split do not go together.
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

    if path.suffix in (".txt", ".csv"):
        table = _text_table(path) if path.suffix == ".txt" else _csv_table(path)
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


def _text_table(path: Path) -> pa.Table:
    """A file of text in UTF-8 as a table of one row."""
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no text in UTF-8: byte {error.start} is {content[error.start]:#04x}. Write "
            "it in UTF-8."
        ) from error
    return pa.table({TEXT: pa.array([text], pa.large_string())})


def _csv_table(path: Path) -> pa.Table:
    """A CSV file in UTF-8, whose first line names its columns.

    A column of which every cell is a whole number is of these, one of which every cell is a number
    of floating-point numbers, and every other one of text.
    """
    import pandas as pd  # noqa: PLC0415 (takes a good part of a second, and only these files need it)

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file, strict=True) if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {error}. Write a line of names and lines of numbers, divided "
            "by commas, in UTF-8."
        ) from error
    if not lines:
        raise InputError(f"{path} is empty: write a line of names and lines of numbers.")
    names, *rows = lines
    _check_names(names, path)
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise InputError(
                f"Row {number} of {path} has {len(row)} cells, and there are {len(names)} columns: "
                "write one cell for each."
            )
    cells = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table(
        {
            name: _typed(pd.Series(column, dtype=object))
            for name, column in zip(names, cells, strict=True)
        }
    )


def _check_names(names: list[str], path: Path) -> None:
    wrong = next((name for name in names if not name.strip() or names.count(name) > 1), None)
    if wrong is not None:
        said = f"two columns {wrong!r}" if wrong.strip() else "a column without a name"
        raise InputError(
            f"{path} has {said} in its first line, which names the columns: name each, and leave "
            "out an index."
        )


def _typed(cells: "pd.Series") -> pa.Array:
    import pandas as pd  # noqa: PLC0415

    if cells.str.fullmatch(r"\s*[+-]?\d{1,18}\s*").all():
        return pa.array(cells.astype("int64").to_numpy())
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.notna().all():
        return pa.array(numbers.to_numpy(dtype="float64"))
    return pa.array(cells.tolist(), pa.string())
