"""Text and CSV files as tables."""

import csv
from pathlib import Path

import pandas as pd
import pyarrow as pa

from wider.errors import InputError

TEXT = "text"  # the column that holds texts


def text_table(path: Path) -> pa.Table:
    """A file of text as a table of one row.

    Raises:
        InputError: it is no text in UTF-8.
    """
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no text in UTF-8: byte {error.start} is {content[error.start]:#04x}. Write "
            "it in UTF-8."
        ) from error
    return pa.table({TEXT: pa.array([text], pa.large_string())})


def csv_table(path: Path) -> pa.Table:
    """A CSV file in UTF-8, whose first line names its columns.

    A column of which every cell is a whole number is of these, one of which every cell is a number
    of floating-point numbers, and every other one of text.

    Raises:
        InputError: it cannot be read, lines are of different lengths, or columns have no or the
            same names.
    """
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


def _typed(cells: pd.Series) -> pa.Array:
    if cells.str.fullmatch(r"\s*[+-]?\d{1,18}\s*").all():
        return pa.array(cells.astype("int64").to_numpy())
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.notna().all():
        return pa.array(numbers.to_numpy(dtype="float64"))
    return pa.array(cells.tolist(), pa.string())
