"""Runs as a table, out of a store or out of a file."""

import csv
import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wider.errors import InputError
from wider.files import read_whole
from wider.runs._columns import OUTCOMES, asked, asked_columns, row_of
from wider.runs._run_files import Run
from wider.runs._spec import RunSpec
from wider.runs._store import Store

# Raise this when a run comes to have another row: stores keep them.
ROW_VERSION = 3

METRIC, ACCURACY, MEASURED = "metric", "accuracy", "measured"
# What names the data of a run.
DATA = ["dataset", "image_size", "classes", "grey", "shrunk_to", "tokenizer", "target"]
KEY = re.compile(r"[0-9a-f]{64}")
REMEDY = "write the table again with `wider results EXPERIMENT --format csv`"


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: what was asked for, what came out, where it comes from.

    Args:
        runs: finished runs.

    Returns:
        A table of plain numbers and strings, which a CSV file can hold. Accuracies are fractions.
    """
    return _with_plain_text(pd.DataFrame(list(map(row_of, runs))))


def table_of_store(store: Store, say: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """The same of all finished runs of a store.

    Args:
        store: the store.
        say: called with a sentence for each damaged run, which is left out.
    """
    return _with_plain_text(pd.DataFrame(store.rows(row_of, version=ROW_VERSION, say=say)))


def read_table(path: Path, known: Mapping[str, RunSpec] | None = None) -> pd.DataFrame:
    """A table of runs that `wider results --format csv` wrote.

    Args:
        path: of the CSV file. Columns that it lacks, since it is older than they are, are empty.
        known: by key, runs that may be in it: their rows have to say what these ask for.

    Raises:
        InputError: it cannot be read, is no table of runs, or has a row that is not that of its
            key.
    """
    texts = {column.name for column in asked_columns() if column.is_text} | {METRIC, MEASURED}
    try:
        content = read_whole(path).decode()
        _check_rows(content, path)
        table = pd.read_csv(io.StringIO(content), dtype=dict.fromkeys(texts, str))
        _check_numbers(table, path, texts)
        columns = set(table.columns)
    except (OSError, ValueError, csv.Error) as error:  # pandas' parsing errors are ValueErrors
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {str(path)!r} as a table: {error}") from error
    # Until November 2026 it held a formula of ours that bore the name of the paper's equation (6).
    table = table.drop(columns="closed_form", errors="ignore")
    empty = dict.fromkeys(OUTCOMES) | {each.name: each.nothing for each in asked_columns()}
    empty |= {METRIC: ACCURACY, MEASURED: ""}
    table = table.assign(**{name: None for name in empty if name not in table})
    # Empty in a file is NaN in a table.
    filled = {name: value for name, value in empty.items() if value is not None}
    table = _with_plain_text(table.fillna(filled))
    _check_asked(table, columns, known or {}, path)
    return table


def of_the_same_images(table: pd.DataFrame, say: Callable[[str], None]) -> pd.DataFrame:
    """Runs that can be compared: of each dataset, and of each model of a user's own, those whose
    data and code were those of its latest run.

    Args:
        table: of runs.
        say: called with a sentence for each dataset and model of which runs are left out.
    """
    table = _of_the_latest(table, "data_digest", DATA, "data", say)
    return _of_the_latest(table, "code_digest", ["model"], "code", say)


def _of_the_latest(
    table: pd.DataFrame, column: str, by: list[str], what: str, say: Callable[[str], None]
) -> pd.DataFrame:
    if not {"started", column} <= set(table.columns):
        return table
    known = table[table[column].notna()]
    started = pd.to_datetime(known["started"], utc=True, errors="coerce", format="ISO8601")
    order = started.fillna(pd.Timestamp(0, tz="UTC"))
    left_out: list[int] = []
    named = [column for column in by if column in known]
    for (name, *_), rows in known.groupby(named, dropna=False):
        digests = rows[column]
        latest = digests.iloc[order[rows.index].argmax()]
        others = rows.index[digests != latest]
        if len(others):
            left_out += list(others)
            say(
                f"{len(others)} runs of {name} are left out: their {what} (digest "
                f"{', '.join(sorted(set(map(str, digests[others]))))}) are not those of the latest "
                f"run ({latest}). The command that trained them trains them anew"
            )
    return table.drop(index=left_out).reset_index(drop=True) if left_out else table


def _check_rows(text: str, path: Path) -> None:
    """Finds rows that are torn, by which a mean would become another one."""
    rows = csv.reader(io.StringIO(text), strict=True)
    header = next(rows, [])
    if missing := sorted({"key", "status", "seed", "final_test_accuracy"} - set(header)):
        raise InputError(
            f"{str(path)!r} is no table of runs, as it has no column {', '.join(missing)}: "
            "write it with `wider results EXPERIMENT --format csv`"
        )
    for row in rows:
        place = f"{path}, line {rows.line_num}"
        if len(row) != len(header):
            raise InputError(f"{place} has {len(row)} fields instead of {len(header)}: {REMEDY}")
        if not KEY.fullmatch(key := row[header.index("key")]):
            raise InputError(f"{place} has the key {key!r}, no 64 hexadecimal digits: {REMEDY}")


def _check_numbers(table: pd.DataFrame, path: Path, texts: set[str]) -> None:
    """Finds cells that no run can have: text among numbers, infinity, accuracies above 1."""
    for name in table.columns.difference(list(texts)):
        cells = table[name].dropna()
        numbers = pd.to_numeric(cells, errors="coerce")
        if cells.empty or numbers.notna().mean() < 0.5:  # it is text
            continue
        wrong = numbers.isna() | np.isinf(numbers.astype(float))
        if "accuracy" in name:
            wrong |= ~numbers.between(0, 1)
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            line = int(cells.index.to_numpy()[place]) + 2
            raise InputError(
                f"{path}, line {line} has the {name} {str(cells.iloc[place])!r}: {REMEDY}"
            )


def _check_asked(
    table: pd.DataFrame, columns: Collection[str], known: Mapping[str, RunSpec], path: Path
) -> None:
    """Finds cells that say something else than the key of their row, so that a run would stand in
    another place of a figure.

    Args:
        table: as it is read.
        columns: those of the file.
        known: runs by key.
        path: of the file.
    """
    told = set(columns) - set(OUTCOMES)  # a metric is what came of the one that was asked for
    for line, row in enumerate(table.to_dict("records"), start=2):
        if row["key"] not in known:
            continue
        for name, value in asked(known[row["key"]]).items():
            if name in told and not _is_same(row[name], value):
                raise InputError(
                    f"{path}, line {line} has the {name} {row[name]!r}, and by its key it is "
                    f"{value!r}: {REMEDY}"
                )


def _is_same(cell: Any, value: object) -> bool:
    return bool(pd.isna(cell)) or cell == "" if value in (None, "") else cell == value


def _with_plain_text(table: pd.DataFrame) -> pd.DataFrame:
    """The same with text as Python's, of which rows are taken several times faster."""
    return table.astype(dict.fromkeys(table.select_dtypes("str"), object))
