"""From the columns that files hold to a table."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from wider.data._columns import (
    IMAGES,
    SPLITS,
    TEXT,
    check_filled,
    dtype_of,
    has_images,
    is_numeric,
    is_text,
    labels_in,
)
from wider.data._kinds import KINDS, Kind, Reading, Splits, split_tensors, splits_of
from wider.data._table import Columns, Rows, TableData, table_data
from wider.errors import InputError
from wider.text import quoted

if TYPE_CHECKING:
    import datasets

TARGETS = ("target", "label")  # names of the column that is to be said, by default
MOST_CLASSES = 1000
ROWS_A_CLASS = 2  # on average, or whole numbers are no classes but counts or the like
INDEX = "__index_level_0__"  # what pandas calls an index that it writes


def check_numbers(numbers: np.ndarray, column: str, place: str) -> None:
    """Does nothing if all numbers of a column are finite.

    Args:
        numbers: of each row.
        column: its name, for the message.
        place: where the rows are, for the message.

    Raises:
        InputError: one is not.
    """
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"Row {row} of {place}, column {column!r}, is {numbers[row]}, and only finite numbers "
            "can be used: fill it in or leave its row or column out."
        )


def check_classes(labels: Tensor, column: str, place: str) -> None:
    """Does nothing if whole numbers are those of classes: 0 to k - 1, and not too many.

    Args:
        labels: of the training examples.
        column: the name of the target, for the message.
        place: where it is, for the message.

    Raises:
        InputError: they may be either.
    """
    found = labels.unique().tolist()
    most = min(MOST_CLASSES, len(labels) // ROWS_A_CLASS)
    if found != list(range(len(found))) or not 2 <= len(found) <= most:
        raise InputError(
            f"The target {column!r} of {place} holds {len(found)} different whole numbers from "
            f"{found[0]} to {found[-1]}, which may be classes or numbers. Classes are 0 to k - 1 "
            f"with k from 2 to {MOST_CLASSES:,} and {ROWS_A_CLASS} or more rows each on average, "
            "or are given by name; write numbers with a decimal point, as 3.0."
        )


def _fits(features: "datasets.Features") -> bool:
    taken = has_images(features) or {*IMAGES, TEXT} & set(features)
    return not taken and any(is_numeric(feature) for feature in features.values())


def _decoded(name: str, splits: Splits, location: str, reading: Reading) -> TableData:
    """Reads columns of numbers and a target.

    A target of text, or of a ClassLabel, is a class by its name; one of whole numbers is a class
    by its number, as `check_classes` has it; one of floating-point numbers is a number.
    """
    columns = list(splits["train"].features)
    _check_columns(splits, columns, location)
    target = _target(columns, reading.target, location)
    features = [column for column in columns if column != target]
    notes = ()
    if "validation" in splits:
        notes = ("its validation split is not read; num_validation sets training rows aside",)
    classes = None
    targets: dict[str, Tensor]
    if _is_float(splits, target):
        targets = {
            split: _numbers(splits[split], [target], f"{split} of {location}") for split in SPLITS
        }
    else:
        _check_target(splits["train"], target, location)
        targets, classes, more = labels_in(splits, dict.fromkeys(SPLITS, target), location, "row")
        notes += more
    rows = {
        split: Rows(_numbers(splits[split], features, f"{split} of {location}"), targets[split])
        for split in SPLITS
    }
    return table_data(
        name,
        columns=features,
        target=target,
        classes=classes,
        train=rows["train"],
        test=rows["test"],
        notes=notes,
    )


def _check_columns(splits: Splits, columns: list[str], location: str) -> None:
    if INDEX in columns:
        raise InputError(
            f"The table {location} has the column {INDEX!r}, which is an index of pandas: write it "
            "with index=False."
        )
    if len(columns) < 2:
        raise InputError(
            f"The table {location} has the column {columns[0]!r} alone, which is the target: add "
            "columns of numbers to say it from."
        )
    if set(splits["test"].features) != set(columns):
        other = min(set(splits["test"].features) ^ set(columns))
        raise InputError(
            f"The splits of {location} have other columns: {other!r} is in one of train and test "
            "alone. Write both alike."
        )


def _target(columns: list[str], wanted: str | None, location: str) -> str:
    if wanted is None:
        return next((name for name in TARGETS if name in columns), columns[-1])
    if wanted not in columns:
        raise InputError(
            f"target is {wanted!r}, but {location} has the columns "
            f"{', '.join(map(repr, columns))}: name one of them"
        )
    return wanted


def _check_target(train: "datasets.Dataset", target: str, location: str) -> None:
    """Does nothing if it is clear which classes a target stands for."""
    feature = train.features[target]
    if hasattr(feature, "names"):
        return
    if is_numeric(feature):
        numbers = _numbers(train, [target], f"train of {location}")
        check_classes(numbers.long(), target, location)
    elif not is_text(feature):
        raise InputError(
            f"The target {target!r} of {location} is of type {dtype_of(feature)}: use numbers, or "
            "the names of classes."
        )
    else:
        cells = train[target][:]
        are_numbers = [_is_number(cell) for cell in cells]
        if any(are_numbers) and not all(are_numbers):
            row = are_numbers.index(False)
            raise InputError(
                f"Row {row} of train of {location}, column {target!r}, is {quoted(cells[row])}, "
                f"and row {are_numbers.index(True)} is a number: correct it, or give each class a "
                "name that is none."
            )
        if "" in cells:
            raise InputError(
                f"Row {cells.index('')} of train of {location}, column {target!r}, is empty: give "
                "its class a name, or leave it out."
            )


def _is_float(splits: Splits, target: str) -> bool:
    """Whether a target is a number; whole numbers in one split count as such if the other's do."""
    found = [splits[split].features[target] for split in SPLITS]
    return all(map(is_numeric, found)) and any(
        dtype_of(feature).startswith("float") for feature in found
    )


def _numbers(rows: "datasets.Dataset", columns: list[str], place: str) -> Columns:
    every = np.empty((len(rows), len(columns)))
    for number, column in enumerate(columns):
        check_filled(rows, column, place)
        cells = rows.data.column(column)
        if not is_numeric(rows.features[column]):
            values = cells.to_pylist()
            # Of numbers that are written as text the first.
            row = next((row for row, cell in enumerate(values) if not _is_number(cell)), 0)
            raise InputError(
                f"Row {row} of {place}, column {column!r}, is {quoted(values[row])}, which is no "
                "number: correct it, leave the column out, or name it as the target."
            )
        every[:, number] = cells.to_numpy()
        check_numbers(every[:, number], column, place)
    return torch.from_numpy(every)


def _is_number(cell: Any) -> bool:
    try:
        return not math.isnan(float(cell))
    except (TypeError, ValueError):
        return False


def _restored(name: str, tensors: dict[str, Tensor], **about: Any) -> TableData:
    return table_data(name, **splits_of(Rows, tensors), **about)


KINDS.register("table")(
    Kind(
        TableData,
        fits=_fits,
        needs="tables, in columns of numbers of which none is called 'image', 'img' or 'text'",
        decode=_decoded,
        tensors=split_tensors,
        about=("columns", "target", "classes", "encoding", "notes"),
        restored=_restored,
    )
)
