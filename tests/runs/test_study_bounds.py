"""Whatever a study's file holds, what is wrong is said in lines, and soon."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from wider.errors import InputError
from wider.runs import RunSpec, Study, read_study

NAMES = [
    "seed", "kernel_pairs", "title", "grid", "data", "model", "widening", "recipe", "dataset",
    "classes", "num_train", "name", "stem", "width", "base_width", "allocation", "exclude",
    "epochs", "milestones", "schedule", "learning_rate", "output", "hidden.0", "", "a\nb",
]  # fmt: skip
VALUES = (
    st.integers(-2, 12)
    | st.sampled_from([10**20, -(2**63), 2**63, 2**63 - 1, 2**31, 10**400])
    | st.floats()
    | st.booleans()
    | st.dates()
    | st.sampled_from(["digits", "mlp", "resnet18", "level", "steps", "cosine", "dense", "x" * 400])
    | st.text(max_size=5)
)
TREES = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), TREES, max_size=6)
# Pieces that are TOML when they happen to lie right.
PIECES = st.lists(
    st.sampled_from([
        "seed", "=", "\n", "[grid]", "[", "]", "{", "}", ".", ",", '"', "'''", "1", "nan", "1e999",
        "widening", "width", "[[data]]", "[recipe]", "#", "\\u0000", "0x" + "f" * 5000, "1" * 5000,
        "\ufeff", "\r", "\x00", "1979-05-27", "[" * 300, "a." * 300, "=1\n", "data.dataset=",
    ]) | st.text(max_size=3),
    max_size=25,
).map("".join)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


def read(content: str | bytes, folder: Path) -> Study:
    path = folder / "study.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_study(path)


def lines(content: str | bytes, folder: Path) -> list[str]:
    with pytest.raises(InputError) as error:
        read(content, folder)
    said = str(error.value).removeprefix(str(folder)).split(f"\n{folder}")
    assert all(len(line) < 1000 for line in said)
    assert "\n" not in "".join(said)
    return [line.removeprefix("/study.toml").removeprefix(", ") for line in said]


def said_or_read(content: str | bytes, folder: Path) -> None:
    """Anything but a study or an `InputError` fails the test."""
    with suppress(InputError):
        assert all(isinstance(spec, RunSpec) for spec in read(content, folder).specs)


@given(document=DOCUMENTS)
def test_any_document(document: dict[str, Any], folder: Path):
    try:
        text = tomlkit.dumps(document)
    except ValueError:
        return  # TOML cannot say it
    said_or_read(text, folder)


@given(text=PIECES)
def test_any_text(text: str, folder: Path):
    said_or_read(text, folder)


@given(content=st.binary(max_size=60))
def test_any_bytes(content: bytes, folder: Path):
    said_or_read(content, folder)


def test_all_that_is_wrong_is_told_at_once(folder: Path):
    text = """title = 3
recipe.epochs = 0
recipe.batch = 1
[grid]
seed = [0, 0]
widening.width = [8, "x", 0]
recipe.momentum = []
data.grey = true
"""
    assert [line.partition(" is ")[0] for line in lines(text, folder)] == [
        "line 1: title",
        "line 2: recipe.epochs",
        "line 3: recipe.batch",
        "line 5: seed has 0 twice: once",
        "line 6: widening.width",
        "line 6: widening.width",
        "line 7: recipe.momentum",
        "line 8: data.grey",
    ]


def test_fields_that_do_not_go_together_are_told_once_each(folder: Path):
    text = "[grid]\nseed = [0, 1]\nwidening.width = [4, 2, 8]\nrecipe.epochs = [1, 2]"
    said = [line.partition(": use")[0] for line in lines(text, folder)]
    assert said == [
        "line 3: widening: width 4 is below base_width 5",
        "line 3: widening: width 2 is below base_width 5",
    ]


def test_of_very_many_the_first_are_told(folder: Path):
    text = "seed = 0\n" + "\n".join(f"field_{number} = 1" for number in range(100))
    *said, last = lines(text, folder)
    assert len(said) == 20
    assert said[0].startswith("line 2: field_0 is unknown")
    assert "there is more to mend" in last


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = " + "[" * 5000 + "]" * 5000, "more than 20 deep within each other"),
        ("seed = " + "[" * 25 + "]" * 25, "seed: tables or lists are more than 20 deep"),
        ("seed = 0\n" + ".".join("a" * 3000) + " = 1", "a: tables or lists are more than 20 deep"),
        ("seed = " + "1" * 5000, "is not valid TOML: a number is too long"),
        ("seed = 0x" + "f" * 5000, "seed is a number of thousands of digits, and whole numbers of"),
        (f"seed = {10**400}", "(401 characters), and whole numbers of TOML have at most 64 bits"),
        ("seed = 0\n#" + "x" * 100_000, "bytes, and a study has at most 100,000"),
        (f"[grid]\nseed = {list(range(4000))}\nrecipe.epochs = {list(range(1, 4001))}",
         "line 1: the lists give 16,000,000 combinations, and a study has at most 100,000"),
        ('seed = 0\ntitle = "x', "is not valid TOML"),
        (f'seed = 0\nmodel.name = "{"x" * 9000}"', "(9,002 characters): unknown model 'xxx"),
        (f'seed = 0\n{"x" * 9000} = 1', "(9,000 characters) is unknown"),
        ("seed = 0".encode("utf-16"), "save it as UTF-8"),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_too_much(text: str | bytes, message: str, folder: Path):
    with pytest.raises(InputError) as error:
        read(text, folder)
    assert message in str(error.value)
    assert len(str(error.value)) < 1000
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("kernel_pairs", 1_000_000),
        ("data.num_train", 2**31 - 1),
        ("data.num_validation", 2**31 - 1),
        ("data.image_size", 10_000),
        ("data.shrunk_to", 10_000),
        ("model.num_hidden_layers", 10_000),
        ("widening.width", 10_000_000),
        ("recipe.epochs", 2**31 - 1),
        ("recipe.batch_size", 2**31 - 1),
        ("seed", 2**63 - 1),
        ("data.split_seed", 2**63 - 1),
    ],
)
def test_the_largest_whole_numbers(field: str, most: int, folder: Path):
    seed = "" if field == "seed" else "seed = 0\n"
    assert len(read(f"{seed}{field} = {most}", folder).specs) == 1
    with pytest.raises(InputError, match=f"{field} is {most + 1}"):
        read(f"{seed}{field} = {most + 1}", folder)


def test_a_byte_order_mark_is_no_part_of_the_text(folder: Path):
    assert read(b"\xef\xbb\xbfseed = 3", folder).specs == read("seed = 3", folder).specs
    assert lines(b"\xef\xbb\xbfsead = 3\nseed = 1", folder)[0].startswith("line 1: sead is unknown")


@pytest.mark.parametrize("name", ["folder", "pipe", "nothing", "zero\0byte", "x" * 300])
def test_what_is_no_file_is_not_read(name: str, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"is no file|cannot read") as error:
        read_study(tmp_path / name)
    assert "\n" not in str(error.value)
