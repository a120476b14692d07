"""`wider bench` from its arguments to its files, at tiny sizes."""

from pathlib import Path

import pytest
import tyro

from wider import executors
from wider.bench import SUITES, read_table
from wider.cli import COMMANDS
from wider.errors import InputError

from .tiny import TINY, in_this_process


@pytest.fixture(autouse=True)
def tiny_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    for suite in TINY:
        monkeypatch.setitem(SUITES, suite.name, suite)
    monkeypatch.setattr(executors, "in_workers", in_this_process)


def call(*arguments: object) -> None:
    tyro.cli(COMMANDS["bench"], args=list(map(str, arguments)))


def test_table_to_output_messages_to_errors_and_files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    folder = tmp_path / "new" / "folder"
    call("mlp-step", "--repetitions", 2, "--output", folder)
    captured = capfd.readouterr()
    for word in ("mlp-step", "native", "masked PyTorch", "dense PyTorch", "median"):
        assert word in captured.out
    assert "width 16, batch size 100" in captured.err
    assert "width 16, batch size 100" not in captured.out
    assert sorted(path.name for path in folder.iterdir()) == [
        "bench-mlp-step.csv",
        "bench-mlp-step.png",
    ]
    table = read_table(folder / "bench-mlp-step.csv")
    assert table["width"].tolist() == [5, 5, 5, 16, 16, 16]
    assert table["repetitions"].eq(2).all()
    # Which of the two is the machine's affair.
    slow = table["seconds"].median() >= 0.005
    assert ("milliseconds" if slow else "microseconds") in captured.out
    assert (folder / "bench-mlp-step.png").read_bytes().startswith(b"\x89PNG")


def test_all_suites_without_a_name(capfd: pytest.CaptureFixture[str]):
    call("--repetitions", 1)
    printed = capfd.readouterr().out
    assert all(name in printed for name in SUITES)


def test_bad_input_is_found_before_anything_is_measured(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="unknown suite 'nothing'"):
        call("mlp-step", "nothing")
    with pytest.raises(InputError, match=r"cannot write to .*name another folder with --output"):
        call("mlp-step", "--output", tmp_path / "file")
    assert capfd.readouterr() == ("", "")
