"""Studies and command lines that are made up."""

import inspect
import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal

import tomlkit
from benchmarks.reliability._examples import called, try_examples
from benchmarks.reliability._part import Case, Part, Tally, Wrong
from benchmarks.reliability._studies import TRAIN
from hypothesis import strategies as st
from pydantic import BaseModel
from tomlkit.exceptions import TOMLKitError

from wider.cli import COMMANDS
from wider.errors import InputError
from wider.runs import RunSpec
from wider.study import EXPERIMENTS
from wider.training import Engine, Epoch

Flag = tuple[str, st.SearchStrategy[list[str]]]  # and what follows it

BATCH = 25  # examples that share a child
OFF = "training is off"  # what an epoch says instead of being trained
LEFT_OUT = {"bench"}  # measures for minutes
LONG = 300  # characters: more than a file's name may have

# What can be anything but a path: no slash, so that nothing is written elsewhere.
WORDS = st.one_of(
    st.sampled_from(["", " ", "-1", "0", "nan", "inf", "1e999", "1e-400", "9" * 400, "None"]),
    st.sampled_from(["[bold]x[/bold]", "\x1b[31mred", "</script>", "é" * LONG, "a\nb", "\udce9"]),
    st.integers(-3, 10**20).map(str),
    st.floats().map(repr),
    st.text(st.characters(exclude_characters="/.\0"), max_size=12),
)
NUMBERS = st.sampled_from(["1", "2", "3", "0.5", "10", "0", "-1", "300", "1e30"])
PATHS = st.sampled_from(
    ["runs", "file.txt", "folder", "nowhere/at/all", "file.txt/below", "é", "[b]", "x" * LONG, ""]
)
NAMES = st.sampled_from([*EXPERIMENTS, "digits", "study.toml", "train"])


def prepare(folder: Path) -> Case:
    """Nothing is shared but the commands."""
    folder.mkdir()
    kinds = {
        "a study": (_studies(), _check_study),
        "a study with bytes changed": (_torn_studies(), _check_torn),
        "a command line": (_command_lines(), called),
        "flags of train": (_train_lines(), called),
    }

    def case(random: Random, tally: Tally, here: Path) -> None:
        (here / "folder").mkdir()
        (here / "file.txt").write_text("text\n")
        (here / "study.toml").write_text("seed = 1\n[data]\ndataset = 'digits'\n")
        # In this part's process, which is a fork.
        Engine.run_epoch = _not_trained  # pyright: ignore[reportAttributeAccessIssue]
        kind = random.choice(list(kinds))
        strategy, check = kinds[kind]
        try_examples(kind, strategy, check, BATCH, random=random, tally=tally, here=here)

    return case


def _not_trained(_: Engine, *__: object) -> Epoch:
    raise InputError(OFF)


def _studies() -> st.SearchStrategy[dict[str, Any]]:
    """Mostly right ones, with lists under [grid]."""
    fields = {
        ("seed",): st.integers(0, 9),
        ("recipe", "epochs"): st.integers(1, 9),
        ("recipe", "learning_rate"): st.sampled_from([0.1, 0.5, 1.0]),
        ("recipe", "momentum"): st.sampled_from([0.0, 0.9]),
        ("recipe", "batch_size"): st.integers(1, 2000),
        ("widening", "width"): st.integers(1, 40),
        ("widening", "base_width"): st.integers(1, 8),
        ("widening", "method"): st.sampled_from(["sparse", "dense", "linear_bottleneck"]),
        ("widening", "allocation"): st.sampled_from(["level", "proportional", {"output": 0.5}]),
        ("data", "num_train"): st.integers(1, 2000),
        ("data", "num_validation"): st.integers(0, 100),
        ("data", "normalisation"): st.sampled_from(["channel", "pixel", "unit"]),
        ("model", "num_hidden_layers"): st.integers(1, 3),
        ("model", "activation"): st.sampled_from(["relu", "identity", "tanh"]),
        ("model", "name"): st.sampled_from(["mlp", "resnet18"]),
        ("kernel_pairs",): st.integers(0, 3),
    }
    wild = st.one_of(
        st.none(), st.booleans(), st.integers(-3, 10**30), st.floats(), st.text(max_size=5)
    )
    wild = st.recursive(wild, lambda inner: st.lists(inner, max_size=3), max_leaves=3)

    @st.composite
    def study(draw: st.DrawFn) -> dict[str, Any]:
        document: dict[str, Any] = {"data": {"dataset": "digits"}, "grid": {}}
        for field in draw(st.lists(st.sampled_from(list(fields)), unique=True, max_size=6)):
            value = fields[field] if draw(st.integers(0, 19)) else wild
            if draw(st.booleans()):
                _put(document, ("grid", *field), draw(st.lists(value, min_size=1, max_size=3)))
            else:
                _put(document, field, draw(value))
        if draw(st.integers(0, 9)) == 0:
            _put(document, (draw(st.text(max_size=5)),), draw(wild))
        elif "seed" not in document and "seed" not in document["grid"]:
            document["seed"] = 0
        return document

    return study()


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *tables, name = path
    for table in tables:
        document = document.setdefault(table, {})
        if not isinstance(document, dict):
            return
    document[name] = value


def _toml(document: dict[str, Any]) -> str | None:
    """As a file; None where TOML has no such thing."""
    try:
        text = tomlkit.dumps(document)
        text.encode()
    except (TypeError, ValueError, TOMLKitError):
        return None
    return text


def _check_study(document: dict[str, Any]) -> None:
    text = _toml(document)
    if text is None:
        return
    code, _, err = _swept(text.encode())
    announced = [line.split()[0] for line in err.splitlines() if " runs to train, " in line]
    if code != 0 and not announced:
        return
    lists = list(_lists(document["grid"], ()))
    most = math.prod(len(values) for _, values in lists)
    # Widths may name one net twice: then fewer are trained.
    exact = all(path[0] in {"seed", "recipe", "data", "model"} for path, _ in lists)
    number = int(announced[0]) if announced else 0
    if number > most or (exact and number != most):
        raise Wrong(f"{number} runs of {most} combinations: {text!r}")


def _lists(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[Any, list[Any]]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _lists(value, (*path, name))
        else:
            yield (*path, name), value


def _torn_studies() -> st.SearchStrategy[bytes]:
    pieces = st.sampled_from([b"=", b"[", b"]", b"\n", b'"', b"\xff", b"\0", b"[[a]]\n", b"1e999"])

    @st.composite
    def torn(draw: st.DrawFn) -> bytes:
        content = (_toml(draw(_studies())) or "").encode()
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, len(content)))
            end = min(len(content), start + draw(st.integers(0, 10)))
            content = content[:start] + draw(pieces | st.binary(max_size=4)) + content[end:]
        return content

    return torn()


def _check_torn(content: bytes) -> None:
    _swept(content)


def _swept(content: bytes) -> tuple[int, str, str]:
    Path("made-up.toml").write_bytes(content)
    return called(["sweep", "made-up.toml"])


def _command_lines() -> st.SearchStrategy[list[str]]:
    flags = {name: list(_flags_of(name)) for name in COMMANDS if name not in LEFT_OUT}

    @st.composite
    def line(draw: st.DrawFn) -> list[str]:
        name = draw(st.sampled_from([*flags]) | WORDS)
        words = [name]
        if draw(st.booleans()):
            words.append(draw(NAMES | WORDS))
        known = flags.get(name) or [("--store", _one(PATHS))]
        for flag, values in draw(st.lists(st.sampled_from(known), max_size=4)):
            words += [flag, *draw(values)]
        if draw(st.integers(0, 9)) == 0:
            words.insert(draw(st.integers(0, len(words))), draw(WORDS))
        return words

    return line()


def _train_lines() -> st.SearchStrategy[list[str]]:
    known = [*_flags_of_spec(RunSpec, "--"), *_flags_of("train")]

    @st.composite
    def line(draw: st.DrawFn) -> list[str]:
        words = ["train", *draw(st.sampled_from([TRAIN, ["--data.dataset", "digits"]]))]
        for flag, values in draw(st.lists(st.sampled_from(known), min_size=1, max_size=3)):
            words += [flag, *draw(values)]
        return words

    return line()


def _flags_of(command: str) -> Iterator[Flag]:
    parameters = inspect.signature(COMMANDS[command]).parameters.values()
    for parameter in parameters:
        if parameter.name != "spec":
            yield "--" + parameter.name.replace("_", "-"), _values(parameter.annotation)


def _flags_of_spec(model: type[BaseModel], prefix: str) -> Iterator[Flag]:
    for name, field in model.model_fields.items():
        flag = prefix + name.replace("_", "-")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _flags_of_spec(field.annotation, flag + ".")
        else:
            yield flag, _values(field.annotation)


def _values(annotation: Any) -> st.SearchStrategy[list[str]]:
    """What may follow a flag, and now and then anything."""
    inner = list(_within(annotation))
    if Path in inner:
        return _one(PATHS)
    if inner == [bool]:
        return st.just([])
    choices = [str(choice) for choice in inner if isinstance(choice, str)]
    sensible = st.sampled_from(choices) if choices else NAMES if str in inner else NUMBERS
    several = st.lists(sensible | WORDS, max_size=3)
    return st.integers(0, 9).flatmap(
        lambda n: several if n == 0 else _one(WORDS if n == 1 else sensible)
    )


def _one(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return values.map(lambda value: [value])


def _within(annotation: Any) -> Iterator[Any]:
    """The types, and the choices, of an annotation."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        yield from typing.get_args(annotation)
    elif origin in (typing.Union, types.UnionType, typing.Annotated, tuple):
        for inner in typing.get_args(annotation):
            yield from _within(inner)
    else:
        yield annotation


PART = Part("fuzz", tries=9500, share=24, prepare=prepare, case_tries=BATCH)
