"""Where in a TOML file a value stands."""

from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from wider.errors import InputError
from wider.toml import dotted, line_of, read_toml

DOCUMENT = '''# a comment, HERE
title = "x"   # HEREE

[recipe]
epochs = 1
[data]
dataset = """
two lines"""
  [widening] # indented
allocation = { output = 0.5, "hidden.0" = 3 }
[grid]
widening.method = ["sparse",
    # "dense" is left out
    "dense"]
widening.width = [
    4,
    8,
]
recipe.milestones = [[], [50,
    120]]
[model.deep]
bias = true
[data.more]
z.y = 1
[[many]]
a = 1
[[many]]
a = 2
[empty]
'''


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("recipe",), 4),
        (("data",), 7),  # is in two parts: its first key
        (("data", "dataset"), 7),
        (("widening",), 9),
        (("widening", "allocation"), 10),
        (("widening", "allocation", "hidden.0"), 10),
        (("grid",), 11),
        (("grid", "widening"), 12),  # has no header: its first key
        (("grid", "widening", "method"), 12),
        (("grid", "widening", "method", 0), 12),
        (("grid", "widening", "method", 1), 14),
        (("grid", "widening", "width"), 15),
        (("grid", "widening", "width", 1), 17),
        (("grid", "recipe", "milestones", 1), 19),
        (("grid", "recipe", "milestones", 1, 1), 20),
        (("model",), 21),
        (("model", "deep", "bias"), 22),
        (("data", "more", "z", "y"), 24),
        (("many",), 25),
        (("many", 1), 27),
        (("many", 1, "a"), 28),
        (("empty",), 29),
    ],
)
def test_lines_by_hand(path, line: int, end: str):
    assert line_of(DOCUMENT.replace("\n", end), path) == line


@given(
    st.dictionaries(
        st.text(max_size=4), st.lists(st.integers() | st.text(max_size=4), max_size=3), min_size=1
    )
)
def test_every_key_is_on_the_line_it_was_written_on(values: dict[str, list]):
    rows = [tomlkit.dumps({name: value}).strip("\n") for name, value in values.items()]
    text = "\n".join(["# first", *rows])
    for number, name in enumerate(values, start=2):
        assert line_of(text, (name,)) == number


def test_keys_with_dots_are_quoted():
    assert dotted(("widening", "allocation", "hidden.0")) == 'widening.allocation."hidden.0"'
    assert dotted(("recipe", "milestones", 1)) == "recipe.milestones.1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = \n", "line 2"),
        ("a = 1\n[b\n", "line 2"),
        ("a = 1\n\na = 2\nb = 1\n", "line 3"),
        ("[a]\n[b]\n[a]\nc = 1\n", "line 3"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(text: str, message: str, tmp_path: Path):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"study.toml is not valid TOML: .*{message}"):
        read_toml(path)


def test_what_cannot_be_read_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"cannot read '.*none.toml' as a text file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"title = '\xe9'")
    with pytest.raises(InputError, match="cannot read"):
        read_toml(tmp_path / "latin.toml")
