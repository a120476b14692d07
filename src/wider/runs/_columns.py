"""The columns of a table of runs: each field of a spec, what came out, and where it comes from."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd

from wider.columns import Column, Role, column_in
from wider.described import FromTable
from wider.models import MODELS, MLPSpec, ModelSpec, ResNet18Spec
from wider.registry import Described, defaults
from wider.runs._arithmetic import family_weights, multiply_adds_per_example
from wider.runs._run_files import Run
from wider.runs._spec import RunSpec

MODEL = "model"
OPTIONS = "options"  # of models whose options have no columns of their own, as JSON
# Those whose options have.
WITH_COLUMNS: tuple[type[ModelSpec], ...] = (MLPSpec, ResNet18Spec)
NUMBERS = (int, float, bool, type(None))


@dataclass(frozen=True)
class AskedColumn:
    """A field of a spec in a table of runs.

    Attributes:
        name: of the column.
        part: of the spec, such as "data"; empty for a field of the spec itself.
        field: of that part.
        role: why runs differ in it.
        is_text: whether its cells are no numbers.
    """

    name: str
    part: str
    field: str
    role: Role
    is_text: bool

    @property
    def nothing(self) -> str | None:
        """The cell of a run that has nothing there, as in a table of finished runs."""
        return "" if asked(RunSpec())[self.name] == "" else None


@cache
def asked_columns() -> tuple[AskedColumn, ...]:
    """The columns that say what was asked for, in the order of the spec."""
    return tuple(_columns_of_spec())


def names_of(*roles: Role, part: str | None = None) -> list[str]:
    """The names of the columns that say what was asked for, of some roles.

    Args:
        roles: why runs differ in them.
        part: of the spec; all of it by default.
    """
    return [
        column.name
        for column in asked_columns()
        if column.role in roles and part in (None, column.part)
    ]


def asked(spec: RunSpec) -> dict[str, object]:
    """The cells that say what was asked for of a run: every field of its spec, by column.

    Args:
        spec: of the run.

    Returns:
        Plain numbers and text; what is more than that is JSON. Fields that say nothing, as another
        one says it, are None.
    """
    return {column.name: _cell_of(spec, column) for column in asked_columns()}


def model_of(row: "pd.Series[Any]") -> ModelSpec:
    """The model of a row of a table of runs."""
    columns = [column for column in asked_columns() if column.part == MODEL]
    own = {column.field: row[column.name] for column in columns if column.name != OPTIONS}
    options = {field: _plain(value) for field, value in own.items() if pd.notna(value)}
    others = json.loads(row[OPTIONS]) if row.get(OPTIONS) else {}
    return FromTable(MODELS).read({**options, **others})


def row_of(run: Run) -> dict[str, object]:
    """A run as a row: what was asked for, what came out, where it comes from."""
    came_out = {name: value(run) for name, value in OUTCOMES.items()}
    return asked(run.spec) | came_out | _origin(run)


def _columns_of_spec() -> Iterator[AskedColumn]:
    for part, info in RunSpec.model_fields.items():
        role = _column_in(info).role
        if part == MODEL:
            yield from _columns_of_models(role)
        elif (cls := info.annotation) and hasattr(cls, "model_fields"):
            for field, own in cls.model_fields.items():  # pyright: ignore[reportAttributeAccessIssue]
                column = column_in(own.metadata) or Column(role)
                yield _column(part, field, column, own.annotation)
        else:
            yield _column("", part, _column_in(info), info.annotation)


def _columns_of_models(role: Role) -> Iterator[AskedColumn]:
    yield AskedColumn(MODEL, MODEL, "name", role, is_text=True)
    for cls in WITH_COLUMNS:
        hints = get_type_hints(cls, include_extras=True)
        for field in defaults(cls):
            column = column_in(get_args(hints[field])) or Column(role)
            yield _column(MODEL, field, column, hints[field])
    yield AskedColumn(OPTIONS, MODEL, OPTIONS, role, is_text=True)


def _column(part: str, field: str, column: Column, annotation: Any) -> AskedColumn:
    is_text = any(kind not in NUMBERS for kind in _kinds(annotation))
    return AskedColumn(column.name or field, part, field, column.role, is_text)


def _column_in(info: Any) -> Column:
    column = column_in(info.metadata)
    assert column is not None, "a part of the spec has a role, and so has each field beside them"
    return column


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types and words that a value can be; a tuple is one of them, whatever it holds."""
    if get_origin(annotation) is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType, Literal):
        for each in get_args(annotation):
            yield from _kinds(each)
    else:
        yield annotation


def _cell_of(spec: RunSpec, column: AskedColumn) -> object:
    if column.part == MODEL:
        return _cell_of_model(spec.model, column)
    part = getattr(spec, column.part) if column.part else spec
    if column.field in getattr(part, "unused", ()):
        return None
    return _cell(getattr(part, column.field))


def _cell_of_model(model: ModelSpec, column: AskedColumn) -> object:
    if column.name != OPTIONS:
        return model.table.get(column.field)
    with_columns = {field for cls in WITH_COLUMNS for field in defaults(cls)}
    others = {key: value for key, value in model.table.items() if key not in with_columns}
    del others["name"]
    return _json(others)


def _cell(value: object) -> object:
    """What stands in a table for the value of a field: plain, or as JSON."""
    if isinstance(value, Described):
        return json.dumps(value.changed)
    if isinstance(value, tuple):
        return " ".join(str(_cell(each)) for each in value)
    return json.dumps(value) if isinstance(value, Mapping) else value


def _json(options: Mapping[str, object]) -> str:
    """Nothing where there are none."""
    return json.dumps(options, sort_keys=True) if options else ""


def _plain(value: Any) -> Any:
    """Python's own type; whole numbers beside empty cells are floating-point ones in a table."""
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _effective_weights(run: Run) -> int:
    if run.spec.widening.method != "linear_bottleneck":
        return run.result.num_weights
    return run.result.family_weights or family_weights(run.spec, run.result.task)


def _multiply_adds(run: Run) -> int:
    result = run.result
    return result.multiply_adds or multiply_adds_per_example(
        run.spec, result.task, connectivity=result.connectivity
    )


def _validated(run: Run) -> float | None:
    best = run.result.best_validation
    return best.test_accuracy if best else None


OUTCOMES: Mapping[str, Callable[[Run], object]] = {
    "status": lambda run: run.result.status,
    "num_weights": lambda run: run.result.num_weights,
    "num_effective_weights": _effective_weights,
    "multiply_adds": _multiply_adds,
    "num_features": lambda run: run.result.task.numbers_in,
    "connectivity": lambda run: run.result.connectivity[""],
    "hidden_connectivity": lambda run: run.result.connectivity.get("hidden.0"),
    "output_connectivity": lambda run: run.result.connectivity.get("output"),
    "epochs_trained": lambda run: run.result.epochs,
    "final_train_accuracy": lambda run: run.history[-1].train_accuracy,
    "final_validation_accuracy": lambda run: run.history[-1].validation_accuracy,
    "final_test_accuracy": lambda run: run.result.final.test_accuracy,
    "best_test_accuracy": lambda run: run.result.best_test.test_accuracy,
    "best_test_epoch": lambda run: run.result.best_test.epoch,
    "validated_test_accuracy": _validated,
    "metric": lambda run: run.result.metric,
    "higher_is_better": lambda run: run.result.higher_is_better,
    "final_train_metric": lambda run: run.history[-1].train_metric,
    "final_test_metric": lambda run: run.result.final.test_metric,
    "best_test_metric": lambda run: run.result.best_test.test_metric,
    "kernel_distance": lambda run: run.result.kernel and run.result.kernel.initial,
    "expected_kernel_distance": lambda run: run.result.kernel and run.result.kernel.expected,
    "theorem_1": lambda run: run.result.kernel and run.result.kernel.theorem_1,
    "measured": lambda run: _json(run.result.measured),
    "seconds": lambda run: round(run.result.seconds, 2),
    "peak_memory_mb": lambda run: round(run.result.peak_memory / 1e6),
}
"""{column: what came out of a run}; accuracies are fractions."""


def _origin(run: Run) -> dict[str, object]:
    provenance = run.result.provenance
    return {
        "engine": provenance.engine,
        "executor": provenance.executor,
        "device": provenance.device,
        "threads": provenance.threads,
        "machine": provenance.machine,
        "commit": provenance.commit,
        **provenance.versions,
        "data_encoding": provenance.data_encoding,
        "data_digest": provenance.data_digest[:16],
        "code_digest": provenance.code_digest and provenance.code_digest[:16],
        "started": provenance.started,
        "key": run.spec.key,
    }
