"""A study of one's own: a grid over the fields of a run, in a TOML file."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wider.data import Dataset, Preprocessing, load_for
from wider.described import FromTable
from wider.errors import InputError
from wider.runs._arithmetic import multiply_adds_per_example
from wider.runs._grid import GRID, SEED, Combination, combinations, read_axes
from wider.runs._spec import RunSpec, Widening
from wider.text import quoted
from wider.toml import MOST_PROBLEMS, KeyPath, Problem, dotted, read_toml

TITLE = "title"
MOST_RUNS = 100_000

# pydantic's messages speak of Python.
TABLE, LIST = "input should be a table", "input should be a list"
IN_TOML = {"dict_type": TABLE, "model_type": TABLE, "tuple_type": LIST}


@dataclass(frozen=True)
class Study:
    """Runs to be compared.

    Attributes:
        title: one line; by default the name of the file.
        specs: the runs, all of one seed first, each net once.
    """

    title: str
    specs: tuple[RunSpec, ...]


def read_study(path: Path) -> Study:
    """Reads a study from a TOML file.

    The file has the fields of a `RunSpec`, in the tables [data], [model], [widening] and [recipe],
    each with one value. Those that vary are in the table [grid] instead, each with a list of
    values, such as `widening.width = [4, 8, 16]`; all combinations are run.

    Combinations that mean the same net are run once, as the plainest of their descriptions: those
    that differ only in how a net that is not sparse would be sparse, and the dense baseline, which
    is the member of the base width whichever way the family is widened, linear bottlenecks apart.
    Where widenings are compared, it also stands for allocations that do not exist at the base
    width.

    Args:
        path: of the file.

    Returns:
        The study.

    Raises:
        InputError: the file cannot be read, or something in it is wrong; the message has a line for
            each thing that is, which names its line in the file. Nets that do not exist are found
            by `check_nets`.
    """
    file = read_toml(path)
    problems: dict[Problem, None] = {}  # each once, in the order in which they are found
    title = file.document.get(TITLE, path.stem)
    if not isinstance(title, str):
        problems[(TITLE,), f"title is {quoted(title)}: put it in quotation marks"] = None
    axes, wrong = read_axes(file.document)
    problems.update(dict.fromkeys(wrong))
    fields = {name: file.document[name] for name in file.document if name not in (TITLE, GRID)}
    grid = file.document.get(GRID)
    if not any(SEED[0] in table for table in (fields, grid) if isinstance(table, dict)):
        problems[(), "no seed is given: add `seed = [0, 1, 2]` under [grid]"] = None
    if (count := math.prod(map(len, axes.values()))) > MOST_RUNS:
        how_many = f"the lists give {count:,} combinations, and a study has at most {MOST_RUNS:,}"
        problems[(GRID,), f"{how_many}: shorten them, or make several studies"] = None
        axes = {field: values[:1] for field, values in axes.items()}
    specs = _specs(combinations(fields, axes), problems)
    if problems:
        raise file.error(problems)
    if any(field[0] == "widening" for field in axes):
        specs = [_with_baseline(spec) for spec in specs]
    nets: dict[RunSpec, RunSpec] = {}
    for spec in specs:
        net = _same_net(spec)
        nets[net] = min(nets.get(net, spec), spec, key=_unusual)
    return Study(title, tuple(nets.values()))


def check_nets(specs: Sequence[RunSpec], *, data_dir: Path | None = None) -> None:
    """Makes sure that every net exists, before any is trained.

    Args:
        specs: the runs.
        data_dir: the folder of datasets; see `wider.data.load`.

    Raises:
        InputError: one does not; the message names it. Or the data do not exist.
    """
    datasets: dict[Preprocessing, Dataset] = {}
    for spec in specs:
        if spec.data.as_loaded not in datasets:
            datasets[spec.data.as_loaded] = load_for(spec.data, data_dir=data_dir)
        task = datasets[spec.data.as_loaded].task
        try:
            multiply_adds_per_example(spec, task)
        except InputError as error:
            raise InputError(f"{spec.title}: {error}") from error


def _specs(points: Iterable[Combination], problems: dict[Problem, None]) -> list[RunSpec]:
    """The runs, and what is wrong with others added to the problems."""
    together = not problems  # or fields that would go together may be among what is wrong
    specs = []
    told: set[str] = set()
    for point in points:
        try:
            specs.append(RunSpec.model_validate(_with_tuples(point.document), strict=True))
        except ValidationError as error:
            for path, message, of_several in _problems(error.errors(), point.document):
                if message in told or (of_several and not together):
                    continue
                told.add(message)
                where, varying = point.place_in_file(path), point.values_of(path)
                here = f" (here {varying})" if varying and where[1:] == path else ""
                problems[where, f"{message}{here}"] = None
        if len(problems) > MOST_PROBLEMS:
            break
    return specs


def _problems(
    errors: list[ErrorDetails], document: dict[str, Any]
) -> Iterator[tuple[KeyPath, str, bool]]:
    """What is wrong: where, why, and whether it is that several fields do not go together."""
    waiting = [(_existing(error["loc"], document), error) for error in errors]
    while waiting:
        head = waiting[0][0]
        own = [(place, error) for place, error in waiting if place[: len(head)] == head]
        waiting = [(place, error) for place, error in waiting if place[: len(head)] != head]
        # Of a field of several types, the one that fits best has the last word.
        path = max((place for place, _ in own), key=len)
        found = [error for place, error in own if place == path]
        yield path, _said(path, found, document), found[0]["type"] == "value_error"


def _said(path: KeyPath, errors: list[ErrorDetails], document: dict[str, Any]) -> str:
    title = dotted(path)
    if errors[0]["type"] == "extra_forbidden":
        return f"{title} is unknown; use one of: {', '.join(_known(path[:-1], document))}"
    reasons = "; or: ".join(map(_reason, errors))
    value = _value_at(path, document)
    if isinstance(value, dict):
        return f"{title}: {reasons}" if title else reasons
    return f"{title} is {quoted(value)}: {reasons}"


def _existing(location: KeyPath, document: dict[str, Any]) -> KeyPath:
    """A location of pydantic's without the names of types that it puts in between."""
    path: KeyPath = ()
    for part in location:
        value = _value_at(path, document)
        inside = isinstance(value, dict) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int)):
            path = (*path, part)
    return path


def _value_at(path: KeyPath, document: dict[str, Any]) -> Any:
    value: Any = document
    for part in path:
        value = value[part]
    return value


def _reason(error: ErrorDetails) -> str:
    reason = IN_TOML.get(error["type"], error["msg"].removeprefix("Value error, "))
    return reason[:1].lower() + reason[1:]


def _known(path: KeyPath, document: dict[str, Any]) -> list[str]:
    if not path:
        return [TITLE, GRID, *RunSpec.model_fields]
    model: Any = RunSpec
    for part in path:
        if isinstance(part, int):  # in a list of tables
            continue
        field = model.model_fields[part]
        found = [entry for entry in field.metadata if isinstance(entry, FromTable)]
        if found:
            return found[0].options_of(_value_at(path, document))
        model = field.annotation
    return list(model.model_fields)


def _with_tuples(value: Any) -> Any:
    """TOML has lists where specs, which never change, have tuples."""
    if isinstance(value, dict):
        return {name: _with_tuples(entry) for name, entry in value.items()}
    return tuple(_with_tuples(entry) for entry in value) if isinstance(value, list) else value


def _with_baseline(spec: RunSpec) -> RunSpec:
    """The dense baseline where no other sparse net has as many weights."""
    widening = spec.widening
    at_base_width = widening.method == "sparse" and widening.width == widening.base_width
    if not (at_base_width and isinstance(widening.allocation, dict)):
        return spec
    return spec.model_copy(update={"widening": widening.model_copy(update={"allocation": "level"})})


def _unusual(spec: RunSpec) -> tuple[int, str]:
    """By which one of several descriptions of a net is chosen, whatever their order in a file."""
    widening = spec.widening
    differing = sum(
        getattr(widening, name) != field.default
        for name, field in type(widening).model_fields.items()
    )
    return differing, spec.key


def _same_net(spec: RunSpec) -> RunSpec:
    """One and the same for all specs that mean the same net, trained in the same way."""
    widening = spec.widening
    method = widening.method
    if widening.width == widening.base_width and method != "linear_bottleneck":
        method = "dense"
    if method == "sparse":
        return spec
    plain = Widening(method=method, base_width=widening.base_width, width=widening.width)
    return spec.model_copy(update={"widening": plain})
