"""Studies of the user's own on the command line."""

from pathlib import Path

import pytest

from wider.cli import main

STUDY = """
title = "[bold]Mine[/bold]"
[data]
dataset = "digits"
num_train = 200
[widening]
base_width = 4
[recipe]
epochs = 1
[grid]
widening.method = ["sparse", "dense"]
widening.width = [4, 8]
seed = [0, 1]
"""


def test_a_sweep_prints_its_means_and_trains_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    assert main(["sweep", "study.toml"]) == 0
    first = capfd.readouterr()
    assert "6 runs to train, 0 in the store already" in first.err
    assert first.out.startswith("[bold]Mine[/bold]\n")  # text, not markup
    rows = [line for line in first.out.splitlines() if "digits" in line]
    # The dense baseline starts both lines.
    nets = [tuple(cell.strip() for cell in row.split("│")[2:5]) for row in rows]
    assert nets == [
        ("dense", "4", "296"),
        ("dense", "8", "592"),
        ("sparse", "4", "296"),
        ("sparse", "8", "296"),
    ]
    assert main(["sweep", "study.toml"]) == 0
    second = capfd.readouterr()
    assert "to train" not in second.err
    assert second.out == first.out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"sparse"', '"spars"', "study.toml, line 11: widening.method is 'spars': input should be"),
        ("[4, 8]", "[4, 8", "study.toml is not valid TOML: "),
        ("[4, 8]", "[4, 8]\nwidening.allocation = [{ nowhere = 1 }]", "width 8 seed 0: allocation "
         "names a layer 'nowhere' that the net does not have"),
        ("digits", "nothing", "nothing"),
    ],
)  # fmt: skip
def test_a_wrong_study_is_one_line_and_exit_code_2(
    old: str,
    new: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "study.toml").write_text(STUDY.replace(old, new))
    assert main(["sweep", "study.toml", "--data-dir", "empty"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = [line for line in captured.err.splitlines() if line.startswith("wider: ")]
    assert message in line
    assert not (tmp_path / "runs").exists()


def test_a_diverged_run_has_its_own_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    text = STUDY.replace("epochs = 1", "epochs = 1\nlearning_rate = 1e30")
    (tmp_path / "study.toml").write_text(text)
    assert main(["sweep", "study.toml"]) == 3
    captured = capsys.readouterr()
    assert "diverged" in captured.out
    (line,) = [line for line in captured.err.splitlines() if line.startswith("wider: ")]
    titles = [
        f"digits mlp ReLU {net} seed {seed}"
        for seed in (0, 1)
        for net in ("sparse (level) width 4", "sparse (level) width 8", "dense width 8")
    ]
    assert line == (
        f"wider: 6 of 6 runs diverged: {'; '.join(titles[:5])}; and 1 more. "
        "All of them, by status: wider report --store runs"
    )
