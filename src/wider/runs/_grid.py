"""All combinations of lists of values."""

import copy
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wider.text import quoted
from wider.toml import KeyPath, Problem, dotted

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
        return ", ".join(f"{dotted(field)} = {quoted(self._value(field))}" for field in fields)

    def _value(self, field: FieldPath) -> Any:
        value: Any = self.document
        for name in field:
            value = value[name]
        return value


def read_axes(document: Mapping[str, Any]) -> tuple[dict[FieldPath, list[Any]], list[Problem]]:
    """The lists of the table [grid], by the field that they are of, and what is wrong with others.

    Args:
        document: the whole file.
    """
    grid = document.get(GRID, {})
    if not isinstance(grid, dict):
        return {}, [((GRID,), "grid is no table: write a line [grid], and lists under it")]
    axes: dict[FieldPath, list[Any]] = {}
    problems: list[Problem] = []
    for field, value in _values(grid, ()):
        if problem := _problem_of(field, value, document):
            problems.append(problem)
        else:
            axes[field] = value
    return axes, problems


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


def _values(table: Mapping[str, Any], at: FieldPath) -> Iterator[tuple[FieldPath, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _values(value, (*at, name))
        else:
            yield (*at, name), value


def _problem_of(field: FieldPath, value: Any, document: Mapping[str, Any]) -> Problem | None:
    where, title = (GRID, *field), dotted(field)
    if not isinstance(value, list):
        written = quoted(value)
        return where, f"{title} is {written}, no list: use [{written}], or move it out of [grid]"
    if not value:
        return where, f"{title} is an empty list: give it a value, or leave it out"
    seen = set()
    for place, entry in enumerate(value):
        # As text, in which 1 and 1.0 differ.
        written = json.dumps(entry, default=str)
        if written in seen:
            return (*where, place), f"{title} has {quoted(entry)} twice: once is enough"
        seen.add(written)
    if _is_outside(field, document):
        return where, f"{title} is both in [grid] and outside: give it once"
    return None


def _is_outside(field: FieldPath, document: Mapping[str, Any]) -> bool:
    found: Any = document
    for name in field:
        if not isinstance(found, dict):
            return True
        if name not in found:
            return False
        found = found[name]
    return True
