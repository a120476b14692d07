"""Tables on narrow terminals: columns go, digits stay."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from wider.cli import main

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """What a command prints on so many columns."""

    def lines(command: list[str], width: int | None) -> list[str]:
        monkeypatch.delenv("COLUMNS", raising=False)
        if width is not None:
            monkeypatch.setenv("COLUMNS", str(width))
        assert main(command) == 0
        return capsys.readouterr().out.splitlines()

    return lines


def rows(lines: list[str]) -> list[list[str]]:
    cells = ([cell.strip() for cell in line.strip("│┃").split("│")] for line in lines)
    return [row for row, line in zip(cells, lines, strict=True) if line.startswith("│")]


def headings(lines: list[str]) -> list[str]:
    """Those of all columns, which may be broken into lines."""
    parts = [line.strip("┃").split("┃") for line in lines if line.startswith("┃")]
    return [" ".join(" ".join(words).split()) for words in zip(*parts, strict=True)]


def kept(wide: list[str], narrow: list[str]) -> Iterator[int]:
    """Which of the columns are there."""
    there = headings(narrow)
    return (place for place, name in enumerate(headings(wide)) if name in there)


def results(name: str, folder: Path) -> list[str]:
    """The command that prints committed results, without reading the others."""
    experiment, _, scale = name.rpartition("-")
    (folder / "known").mkdir()
    shutil.copy(RESULTS / f"{name}.csv", folder / "known")
    places = ["--known", str(folder / "known"), "--store", str(folder / "empty")]
    return ["results", experiment, "--scale", scale, *places]


@pytest.mark.parametrize("name", ["figure-1-gpu", "figure-7-paper", "advice-laptop"])
def test_results_fit_and_no_digit_is_lost(name: str, printed, tmp_path: Path):
    command = results(name, tmp_path)
    wide, narrow = (printed(command, width) for width in (None, 80))
    assert max(map(len, narrow)) <= 80
    assert "…" not in "".join(narrow)
    places = list(kept(wide, narrow))
    assert rows(narrow) == [[row[place] for place in places] for row in rows(wide)]
    said = " ".join(narrow).partition("left out for want of room: ")[2]
    left_out = set(headings(wide)) - set(headings(narrow))
    assert set(" ".join(said.split()).split("; ")) == left_out
    # A file or a pipe is as wide as a table needs.
    assert "left out" not in "".join(wide)
    assert "…" not in "".join(wide)


@pytest.mark.parametrize("width", [72, 80, 100, 160])
def test_experiments_fit(width: int, printed):
    wide, narrow = (printed(["experiments"], each) for each in (None, width))
    assert max(map(len, narrow)) <= width
    place, wide_place = headings(narrow).index("core time"), headings(wide).index("core time")
    told = [row[place] for row in rows(narrow) if row[0]]
    assert told == [row[wide_place] for row in rows(wide) if row[0]]
