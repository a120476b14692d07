"""Runs as a table, and means over seeds with their uncertainty."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from wider.described import FromTable
from wider.errors import InputError
from wider.files import read_whole
from wider.models import MODELS, ModelSpec
from wider.registry import Described
from wider.runs import Run, RunSpec, Store, family_weights, multiply_adds_per_example
from wider.theory import approximate_kernel_distance

# Raise this when a run comes to have another row: stores keep them.
ROW_VERSION = 2

# What a net is, whatever its seed.
SIZES = ["num_weights", "num_effective_weights", "connectivity", "multiply_adds"]

ACCURACIES = ["best_test_accuracy", "final_test_accuracy", "final_train_accuracy"]
# Of runs that are judged by something else: bits per byte, a mean squared error.
METRICS = ["best_test_metric", "final_test_metric", "final_train_metric"]
ACCURACY = "accuracy"
# What names the data of a run.
DATA = ["dataset", "image_size", "classes", "grey", "shrunk_to", "tokenizer", "target"]
# Options of models that have a column of their own; those of other models are text in one.
MODEL_COLUMNS = {
    "name": "model",
    "num_hidden_layers": "hidden_layers",
    "activation": "activation",
    "bias": "bias",
    "parametrization": "parametrization",
    "batch_norm": "batch_norm",
    "stem": "stem",
}
KEY = re.compile(r"[0-9a-f]{64}")
TEXT = [
    *["classes", "exclude", "milestones", "options", "metric"],
    *["optimiser", "objective", "layer_rates", "measurements", "transformations"],
    *["tokenizer", "target", "measured"],
]  # empty where there are none
# That not every table of ours had at first.
LATER_COLUMNS = ["num_features", "hidden_connectivity", "metric", "higher_is_better", *METRICS]


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: what was asked for, what came out, where it comes from.

    Args:
        runs: finished runs.

    Returns:
        A table of plain numbers and strings, which a CSV file can hold. Accuracies are fractions.
    """
    return _with_plain_text(pd.DataFrame(list(map(_row, runs))))


def table_of_store(store: Store, say: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """The same of all finished runs of a store.

    Args:
        store: the store.
        say: called with a sentence for each damaged run, which is left out.
    """
    return _with_plain_text(pd.DataFrame(store.rows(_row, version=ROW_VERSION, say=say)))


def _row(run: Run) -> dict[str, object]:
    return asked(run.spec) | _came_out(run) | _origin(run)


def read_table(path: Path) -> pd.DataFrame:
    """A table of runs that `wider results --format csv` wrote.

    Args:
        path: of the CSV file. Columns that it lacks, since it is older than they are, are empty.

    Raises:
        InputError: it cannot be read, or is no table of runs.
    """
    try:
        text = read_whole(path).decode()
        _check_rows(text, path)
        table = pd.read_csv(io.StringIO(text), dtype=dict.fromkeys(TEXT, str))
        _check_numbers(table, path)
    except (OSError, ValueError, csv.Error) as error:  # pandas' parsing errors are ValueErrors
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {str(path)!r} as a table: {error}") from error
    # Until November 2026 it held a formula of ours that bore the name of the paper's equation (6).
    table = table.drop(columns="closed_form", errors="ignore")
    missing = {*asked(RunSpec()), *LATER_COLUMNS} - set(table.columns)
    table = table.assign(**dict.fromkeys(sorted(missing), None))
    # Empty in a file is NaN in a table; these are text, and none of it is the empty text.
    table = table.fillna({name: "" for name in TEXT if name in table})
    return _with_plain_text(table.replace({"metric": {"": ACCURACY}}))


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
        remedy = "write the table again with `wider results EXPERIMENT --format csv`"
        if len(row) != len(header):
            raise InputError(f"{place} has {len(row)} fields instead of {len(header)}: {remedy}")
        if not KEY.fullmatch(key := row[header.index("key")]):
            raise InputError(f"{place} has the key {key!r}, no 64 hexadecimal digits: {remedy}")


def _check_numbers(table: pd.DataFrame, path: Path) -> None:
    """Finds cells that no run can have: text among numbers, infinity, accuracies above 1."""
    for name in table.columns.difference(TEXT):
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
                f"{path}, line {line} has the {name} {str(cells.iloc[place])!r}: write the table "
                "again with `wider results EXPERIMENT --format csv`"
            )


def _with_plain_text(table: pd.DataFrame) -> pd.DataFrame:
    """The same with text as Python's, of which rows are taken several times faster."""
    return table.astype(dict.fromkeys(table.select_dtypes("str"), object))


def asked(spec: RunSpec) -> dict[str, object]:
    """The columns of a table of runs that say what was asked for: every field of a spec."""
    widening, options = spec.widening, spec.model.table
    model = {column: options.pop(option, None) for option, column in MODEL_COLUMNS.items()}
    recipe = {name: _cell(value) for name, value in spec.recipe}
    if spec.recipe.optimiser is not None:
        recipe |= dict.fromkeys(("learning_rate", "momentum", "weight_decay"))  # its own count
    if spec.recipe.steps is not None:
        recipe["epochs"] = None
    data = {name: _cell(value) for name, value in spec.data}
    return {
        **data | {"classes": " ".join(map(str, spec.data.classes))},
        **model,
        "options": _text(options),
        "method": widening.method,
        "base_width": widening.base_width,
        "width": widening.width,
        "allocation": json.dumps(widening.allocation).strip('"'),
        "pattern": widening.pattern,
        "exclude": " ".join(widening.exclude),
        **recipe | {"milestones": " ".join(map(str, spec.recipe.milestones))},
        "seed": spec.seed,
        "kernel_pairs": spec.kernel_pairs,
        "measurements": _cell(spec.measurements) or "",
    }


def _cell(value: object) -> object:
    """What stands in a table for the value of a field: plain, or as JSON."""
    if isinstance(value, Described):
        return json.dumps(value.changed)
    if isinstance(value, tuple) and all(isinstance(each, Described) for each in value):
        return " ".join(str(_cell(each)) for each in value)
    return value


def _text(options: Mapping[str, object]) -> str:
    """As JSON; nothing where there are none."""
    return json.dumps(options, sort_keys=True) if options else ""


def model_of(run: pd.Series) -> ModelSpec:
    """The model of a row of a table of runs."""
    given = {option: run[column] for option, column in MODEL_COLUMNS.items()}
    options = {option: _plain(value) for option, value in given.items() if pd.notna(value)}
    others = json.loads(run["options"]) if run.get("options") else {}
    return FromTable(MODELS).read({**options, **others})


def _plain(value: Any) -> Any:
    """Python's own type; whole numbers beside empty cells are floating-point ones in a table."""
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def with_equation_6(table: pd.DataFrame) -> pd.DataFrame:
    """Adds the paper's closed form of the kernel distance, in the column "equation_6".

    Args:
        table: of nets with one hidden layer, with the columns "num_features", "width" and
            "hidden_connectivity"; where one is empty, so is the new one.
    """
    sizes = table[["num_features", "width", "hidden_connectivity"]].astype(float)
    values = [
        math.nan
        if math.isnan(connectivity)
        else approximate_kernel_distance(int(dim), width=int(width), connectivity=connectivity)
        for dim, width, connectivity in sizes.itertuples(index=False)
    ]
    return table.assign(equation_6=values)


def _judged_by(table: pd.DataFrame) -> list[str]:
    """The columns of what the runs of a table are judged by."""
    if "final_test_metric" not in table:
        return ACCURACIES
    by_others = table["final_test_metric"].notna() | table["final_train_metric"].notna()
    if by_others.all():
        return METRICS
    return [*ACCURACIES, *METRICS] if by_others.any() else ACCURACIES


def over_seeds(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Sizes of the nets, and means over seeds of the accuracies of the last and the best epoch.

    Diverged runs are counted and left out of the means.

    Args:
        table: one row per run.
        by: the columns that name a point of the figure.

    Returns:
        One row per point: `by`, the columns `SIZES`, `seeds` (finished runs), `diverged`, and for
        each of `ACCURACIES`, or of `METRICS` where runs are judged by another, the mean, its
        standard deviation over seeds (`..._deviation`) and the half-width of its 95% t-interval
        (`..._interval`); both are NaN for one seed.
    """
    if table.empty:
        return pd.DataFrame()
    finished = table["status"] == "finished"
    judged = _judged_by(table)
    values = {column: table[column].astype(float).where(finished) for column in judged}
    points = table[[*by, *SIZES]].assign(seeds=finished, **values).groupby(by)
    means, seeds = points[SIZES].first(), points["seeds"].sum()
    mean, deviation = points[judged].mean(), points[judged].std(ddof=1)
    # Of one seed there is neither a deviation nor a quantile: both are NaN.
    interval = deviation.mul(-stdtrit(seeds - 1, 0.025) / np.sqrt(seeds), axis="index")
    columns = {"seeds": seeds, "diverged": points.size() - seeds}
    for column in judged:
        columns[column] = mean[column]
        columns[f"{column}_deviation"] = deviation[column]
        columns[f"{column}_interval"] = interval[column]
    return means.assign(**columns).reset_index()


def _came_out(run: Run) -> dict[str, object]:
    result, last = run.result, run.history[-1]
    effective = result.num_weights
    if run.spec.widening.method == "linear_bottleneck":
        effective = result.family_weights or family_weights(run.spec, result.task)
    arithmetic = result.multiply_adds or multiply_adds_per_example(
        run.spec, result.task, connectivity=result.connectivity
    )
    validation = result.best_validation
    return {
        "status": result.status,
        "num_weights": result.num_weights,
        "num_effective_weights": effective,
        "multiply_adds": arithmetic,
        "num_features": result.task.numbers_in,
        "connectivity": result.connectivity[""],
        "hidden_connectivity": result.connectivity.get("hidden.0"),
        "output_connectivity": result.connectivity.get("output"),
        "epochs_trained": result.epochs,
        "final_train_accuracy": last.train_accuracy,
        "final_validation_accuracy": last.validation_accuracy,
        "final_test_accuracy": result.final.test_accuracy,
        "best_test_accuracy": result.best_test.test_accuracy,
        "best_test_epoch": result.best_test.epoch,
        "validated_test_accuracy": validation.test_accuracy if validation else None,
        "metric": result.metric,
        "higher_is_better": result.higher_is_better,
        "final_train_metric": last.train_metric,
        "final_test_metric": result.final.test_metric,
        "best_test_metric": result.best_test.test_metric,
        "kernel_distance": result.kernel and result.kernel.initial,
        "expected_kernel_distance": result.kernel and result.kernel.expected,
        "theorem_1": result.kernel and result.kernel.theorem_1,
        "measured": _text(result.measured),
        "seconds": round(result.seconds, 2),
        "peak_memory_mb": round(result.peak_memory / 1e6),
    }


def _origin(run: Run) -> dict[str, object]:
    provenance = run.result.provenance
    return {
        "engine": provenance.engine,
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
