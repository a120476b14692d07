"""All combinations of lists of values."""

import copy
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wider.runs._toml import KeyPath, TomlFile, dotted

FieldPath = tuple[str, ...]
Axes = Mapping[FieldPath, Sequence[Any]]

GRID = "grid"
SEED = ("seed",)


@dataclass(frozen=True)
class Combination:
    """One point of a grid.

    Attributes:
        document: all fields, those outside the grid too.
        places: {field: which of its values}.
    """

    document: dict[str, Any]
    places: Mapping[FieldPath, int]

    def place_in_file(self, path: KeyPath) -> KeyPath:
        """Where the file says what a path of the document holds."""
        for field, place in self.places.items():
            if path[: len(field)] == field:
                return (GRID, *field, place, *path[len(field) :])
            if field[: len(path)] == path:  # a table that the grid is a part of
                return (GRID, *path)
        return path

    def values_of(self, path: KeyPath) -> str:
        """Those of the fields of a table that are in the grid, as TOML has them."""
        fields = [field for field in self.places if field[: len(path)] == path]
        return ", ".join(f"{dotted(field)} = {self._value(field)!r}" for field in fields)

    def _value(self, field: FieldPath) -> Any:
        value: Any = self.document
        for name in field:
            value = value[name]
        return value


def read_axes(file: TomlFile) -> dict[FieldPath, list[Any]]:
    """The lists of the table [grid], by the field that they belong to.

    Raises:
        InputError: one is no list, is empty, or has a value twice, or its field is elsewhere too.
    """
    grid = file.document.get(GRID, {})
    if not isinstance(grid, dict):
        raise file.error((GRID,), "grid is no table: write a line [grid], and lists under it")
    axes = dict(_lists(grid, file, ()))
    for field in axes:
        _check_only_in_grid(field, file)
    return axes


def combinations(document: Mapping[str, Any], axes: Axes) -> Iterator[Combination]:
    """Every point of a grid: all of one seed first, and the last list varies fastest.

    Args:
        document: the fields that have one value.
        axes: those that have several.
    """
    fields = sorted(axes, key=lambda field: field != SEED)
    for places in itertools.product(*(range(len(axes[field])) for field in fields)):
        combined = copy.deepcopy(dict(document))
        for field, place in zip(fields, places, strict=True):
            *tables, name = field
            table = combined
            for part in tables:
                table = table.setdefault(part, {})
            table[name] = axes[field][place]
        yield Combination(combined, dict(zip(fields, places, strict=True)))


def _lists(
    table: Mapping[str, Any], file: TomlFile, at: FieldPath
) -> Iterator[tuple[FieldPath, list[Any]]]:
    for name, value in table.items():
        field = (*at, name)
        where, title = (GRID, *field), dotted(field)
        if isinstance(value, dict):
            yield from _lists(value, file, field)
            continue
        if not isinstance(value, list):
            message = f"{title} is {value!r}, no list: use [{value!r}], or move it out of [grid]"
            raise file.error(where, message)
        if not value:
            message = f"{title} is an empty list: give it a value, or leave it out"
            raise file.error(where, message)
        written = [json.dumps(entry, default=str) for entry in value]
        for place, entry in enumerate(written):
            if entry in written[:place]:
                message = f"{title} has {value[place]!r} twice: once is enough"
                raise file.error((*where, place), message)
        yield field, value


def _check_only_in_grid(field: FieldPath, file: TomlFile) -> None:
    found: Any = file.document
    for name in field:
        if isinstance(found, dict) and name not in found:
            return
        if not isinstance(found, dict):
            break
        found = found[name]
    title = dotted(field)
    raise file.error((GRID, *field), f"{title} is both in [grid] and outside: give it once")
