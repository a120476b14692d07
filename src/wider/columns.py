"""What a field of a spec means to a comparison of runs, said beside the field itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Why runs differ in a field."""

    FAMILY = "family"
    """They learn something else, or have another number of weights to do it with."""
    LINE = "line"
    """They are widened in another way."""
    WIDTH = "width"
    """They are other points of one line."""
    TRAINING = "training"
    """They are trained in another way."""
    SEED = "seed"
    """They are repetitions, of which means are taken."""


@dataclass(frozen=True)
class Column:
    """An annotation of a field of a spec: how it stands in the table of runs.

    A field without one has the role of the part of the spec that it belongs to.

    Args:
        role: why runs differ in it.
        name: of the column, where it is not that of the field.
    """

    role: Role
    name: str | None = None


def column_in(annotations: Iterable[object]) -> Column | None:
    """The first `Column` among the annotations of a field."""
    return next((each for each in annotations if isinstance(each, Column)), None)
