"""A study of one's own: a grid over the fields of a run, in a TOML file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from wider.data import ImageData, LargeImageData, Preprocessing, load_for
from wider.errors import InputError
from wider.runs._arithmetic import multiply_adds_per_image
from wider.runs._grid import GRID, SEED, Combination, combinations, read_axes
from wider.runs._spec import RunSpec, Widening
from wider.runs._toml import KeyPath, TomlFile, dotted, read_toml

TITLE = "title"

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
        InputError: the file cannot be read, or something in it is wrong; the message names the
            line. Nets that do not exist are found by `check_nets`.
    """
    file = read_toml(path)
    title = file.document.get(TITLE, path.stem)
    if not isinstance(title, str):
        raise file.error((TITLE,), f"title is {title!r}: put it in quotation marks")
    axes = read_axes(file)
    fields = {name: file.document[name] for name in file.document if name not in (TITLE, GRID)}
    if SEED[0] not in fields and SEED not in axes:
        raise file.error((), "no seed is given: add `seed = [0, 1, 2]` under [grid]")
    specs = [_spec(combination, file) for combination in combinations(fields, axes)]
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
    images: dict[Preprocessing, ImageData | LargeImageData] = {}
    for spec in specs:
        if spec.data.as_loaded not in images:
            images[spec.data.as_loaded] = load_for(spec.data, data_dir=data_dir)
        found = images[spec.data.as_loaded]
        sizes = {"image_shape": found.image_shape, "num_classes": found.num_classes}
        try:
            multiply_adds_per_image(spec, **sizes)
        except InputError as error:
            raise InputError(f"{spec.title}: {error}") from error


def _spec(combination: Combination, file: TomlFile) -> RunSpec:
    try:
        return RunSpec.model_validate(_with_tuples(combination.document), strict=True)
    except ValidationError as error:
        path, message = _problem(error.errors(), combination.document)
        in_file = combination.place_in_file(path)
        varying = combination.values_of(path)
        if varying and in_file[1:] == path:  # fields that do not go together
            message += f" (here {varying})"
        raise file.error(in_file, message) from error


def _problem(errors: list[ErrorDetails], document: dict[str, Any]) -> tuple[KeyPath, str]:
    """The first thing that is wrong: where, and why."""
    places = [_existing(error["loc"], document) for error in errors]
    # Of a field of several types, the one that fits best has the last word.
    path = max((place for place in places if place[: len(places[0])] == places[0]), key=len)
    title = dotted(path)
    own = [error for error, place in zip(errors, places, strict=True) if place == path]
    if own[0]["type"] == "extra_forbidden":
        return path, f"{title} is unknown; use one of: {', '.join(_known(path[:-1]))}"
    reasons = "; or: ".join(map(_reason, own))
    value = _value_at(path, document)
    if isinstance(value, dict):
        return path, f"{title}: {reasons}" if title else reasons
    return path, f"{title} is {value!r}: {reasons}"


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


def _known(path: KeyPath) -> list[str]:
    model: Any = RunSpec
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields) if path else [TITLE, GRID, *model.model_fields]


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
