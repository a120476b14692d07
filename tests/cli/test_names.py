"""Names with markup, escapes and turned letters are shown as text, wherever they are printed."""

import io
import sys
from pathlib import Path

import pytest

from wider.cli import main
from wider.data import Preprocessing
from wider.runs import RunSpec, Store, Widening, train_missing
from wider.training import Recipe

EVIL = "[bold]x \x1b[31m\x07\u202e<script>"
PLAIN = r"[bold]x \x1b[31m\x07\u202e<script>"
FIELDS = """
[data]
dataset = "[bold]x \\u001b[31m\\u0007\\u202e<script>"
[recipe]
epochs = 1
[grid]
widening.width = [5, 8]
seed = [0]
"""


@pytest.fixture
def evil(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags for a dataset and a store of evil names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIDER_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / f"d{EVIL}").mkdir()
    (tmp_path / f"d{EVIL}" / EVIL).symlink_to(data_dir / "mnist")
    (tmp_path / "study.toml").write_text('title = "[red]mine[/z]"' + FIELDS, encoding="utf-8")
    return ["--data-dir", f"d{EVIL}", "--store", f"s{EVIL}"]


def test_names_are_text(evil: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    store = evil[2:]
    commands = [
        ["train", "--data.dataset", EVIL, "--recipe.epochs", "1", *evil],
        ["sweep", "study.toml", *evil],
        ["sweep", f"{EVIL}.toml", *evil],
        ["report", *store, "--output", f"p{EVIL}.html"],
        ["results", "demo", *store],
        ["train", "--data.dataset", f"no{EVIL}", *evil],
        ["prepare", EVIL, "--data-dir", f"d{EVIL}", "--output", f"o{EVIL}"],
        ["advise", "--dataset", f"no{EVIL}", "--base-width", "4", "--data-dir", f"d{EVIL}"],
    ]
    codes = []
    for command in commands:
        codes.append(main(command))
        printed = "".join(capfd.readouterr())
        assert PLAIN in printed, command
        assert not set(printed) & {"\x1b", "\x07", "\u202e"}, command
    assert codes[:5] == [0, 0, 2, 0, 2]
    page = (tmp_path / f"p{EVIL}.html").read_text(encoding="utf-8")
    text = page.partition('<script type="application/json"')[0]
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_letter_that_the_output_lacks_is_an_escape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    spec = RunSpec(
        data=Preprocessing(dataset="digits"), widening=Widening(width=8), recipe=Recipe(epochs=1)
    )
    train_missing([spec], Store(tmp_path / "größe"))
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["train", "--data.dataset", "digits", "--widening.width", "8",
                 "--recipe.epochs", "1", "--store", str(tmp_path / "größe")]) == 0  # fmt: skip
    assert rb"gr\xf6\xdfe" in output.buffer.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
