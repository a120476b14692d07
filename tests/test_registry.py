"""What is found by name: registered here, by entry points, and a user's own."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

import wider.registry
from wider.described import FromTable
from wider.errors import InputError
from wider.own_code import find_own, look_in, source_digest
from wider.registry import Described, Registry, SpecRegistry


class Colour(Described):
    """The noun of these tests."""


@dataclass(frozen=True)
class OwnColour(Colour):
    name: str
    options: dict


COLOURS: SpecRegistry[Colour] = SpecRegistry("colour", group="wider.colours", own=OwnColour)


@COLOURS.register("red")
@dataclass(frozen=True)
class Red(Colour):
    shade: float = 0.5
    kind: Literal["light", "dark"] = "light"
    places: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.shade < 0:
            raise InputError(f"shade is {self.shade}: use 0 or more")


class Picture(BaseModel, extra="forbid"):
    colour: Annotated[Colour, FromTable(COLOURS, default="red")] = Red()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """On Python's path, with the modules that it gets forgotten afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    look_in(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def test_what_is_registered_is_found():
    things: Registry[object] = Registry("thing", group="wider.things")
    assert things.register("one")(1) == 1
    assert (things.find("one"), things["one"], list(things), len(things)) == (1, 1, ["one"], 1)
    assert "two" not in things
    with pytest.raises(InputError, match=r"unknown thing 'two'; use 'one', or MODULE:NAME"):
        things.find("two")
    with pytest.raises(ValueError, match="two things 'one'"):
        things.register("one")(2)


def test_entry_points_of_other_packages_count(monkeypatch: pytest.MonkeyPatch):
    points = [
        EntryPoint("root", "math:sqrt", "wider.things"),
        EntryPoint("gone", "no_such_module:name", "wider.things"),
    ]
    monkeypatch.setattr(wider.registry, "entry_points", lambda **_: points)
    things: Registry[Any] = Registry("thing", group="wider.things")
    assert list(things) == ["root", "gone"]
    assert things.find("root")(4.0) == 2.0
    with pytest.raises(InputError, match="'gone' cannot be imported from no_such_module:name"):
        things.find("gone")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("red", Red()),
        ({}, Red()),
        ({"name": "red", "shade": 1}, Red(shade=1)),
        ({"name": "red", "places": [1, 2]}, Red(places=(1, 2))),
        (Red(shade=0.25), Red(shade=0.25)),
        ({"name": "mine:blue", "options": {"a": 1}}, OwnColour("mine:blue", {"a": 1})),
        ("mine:blue", OwnColour("mine:blue", {})),
    ],
)
def test_a_field_is_a_name_or_a_table(value: object, expected: Colour):
    picture = Picture.model_validate({"colour": value})
    assert picture.colour == expected
    assert Picture.model_validate_json(picture.model_dump_json()) == picture


def test_a_table_has_all_options_and_what_is_changed_some():
    colour = COLOURS.make("red", {"shade": 1.0})
    assert colour.table == {"name": "red", "shade": 1.0, "kind": "light", "places": ()}
    assert colour.changed == {"name": "red", "shade": 1.0}


@pytest.mark.parametrize(
    ("value", "place", "message"),
    [
        ({"name": "green"}, (), "unknown colour 'green'"),
        (3, (), "use a name, or a table with a name: 'red'"),
        ({"name": "red", "shade": "1"}, ("shade",), "valid number"),
        ({"name": "red", "shade": float("nan")}, ("shade",), "finite"),
        ({"name": "red", "kind": "grey"}, ("kind",), "'light' or 'dark'"),
        ({"name": "red", "tone": 1}, ("tone",), "Extra inputs"),
        ({"name": "red", "shade": -1.0}, (), "shade is -1.0: use 0 or more"),
        ({"name": "mine:blue", "shade": 1}, ("shade",), "Extra inputs"),
        ({"name": "mine:blue", "options": {"1a": 1}}, ("options",), "pattern"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(value: object, place: tuple, message: str):
    with pytest.raises(ValidationError) as raised:
        Picture.model_validate({"colour": value})
    (error,) = raised.value.errors()
    assert error["loc"][: 1 + len(place)] == ("colour", *place)
    assert message in error["msg"]


def test_ones_own_code_is_imported(folder: Path):
    (folder / "own_nets.py").write_text("class Nets:\n    small = 3\n")
    assert find_own("own_nets:Nets.small") == 3
    assert Registry("net", group="wider.none").find("own_nets:Nets.small") == 3
    with pytest.raises(InputError, match=r"own_nets.py\) has no 'large'"):
        find_own("own_nets:large")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_here:net", "there is no module 'no_such_module_here'"),
        ("no_such.module_here:net", "there is no module 'no_such.module_here'"),
        ("../nets:net", "use MODULE:NAME, such as 'nets:small_cnn'"),
        ("nets:", "use MODULE:NAME"),
        ("a:b:c", "use MODULE:NAME"),
        ("broken_nets:net", "cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_own_code_that_is_not_there(name: str, message: str, folder: Path):
    (folder / "broken_nets.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match="(?s).*" + message.replace("(", r"\(")):
        find_own(name)


def test_the_digest_of_own_code_changes_with_it_and_with_what_it_imports_from_beside_it(
    folder: Path,
):
    (folder / "main_nets.py").write_text("import math\nfrom part_nets.inner import x\ny = x\n")
    (folder / "part_nets").mkdir()
    (folder / "part_nets" / "__init__.py").write_text("from . import other\n")
    (folder / "part_nets" / "inner.py").write_text("x = 1\n")
    (folder / "part_nets" / "other.py").write_text("z = 1\n")
    (folder / "unrelated.py").write_text("z = 1\n")

    def digest() -> str | None:
        return source_digest(["main_nets:y"])

    first = digest()
    assert source_digest([]) is None
    assert digest() == source_digest(["main_nets:z", "main_nets:y"]) == first
    (folder / "unrelated.py").write_text("z = 2\n")
    assert digest() == first
    for name in ("main_nets.py", "part_nets/inner.py", "part_nets/other.py"):
        before = digest()
        with (folder / name).open("a") as file:
            file.write("# changed\n")
        assert digest() != before, name
    with pytest.raises(InputError, match="no module 'gone_nets'"):
        source_digest(["gone_nets:net"])
