"""What is asked of executors by name, and the two of every machine."""

import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.executors.contract import Contract, Make

from wider.cli import main
from wider.errors import InputError, MissingExtraError
from wider.executors import EXECUTORS, Serial, WorkerProcesses


class TestSerial(Contract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda _: Serial()

    def test_closed_early_nothing_runs_on(self, make: Make, tmp_path: Path):  # noqa: ARG002
        """The next task has not begun."""
        begun = []
        with closing(make(1).map(begun.append, [1, 2])) as found:
            next(found)
        assert begun == [1]

    def test_an_error_comes_back_with_its_place(self, make: Make):
        with pytest.raises(ZeroDivisionError):
            list(make(1).map(eval, ["1 / 0"]))

    def test_an_error_of_a_class_that_is_known_nowhere_else(self, make: Make):
        with pytest.raises(Exception, match="5"):
            list(make(1).map(eval, ["exec('class E(Exception): pass\\nraise E(5)')"]))


class TestProcesses(Contract):
    @pytest.fixture
    def make(self) -> Make:
        return WorkerProcesses


def test_names():
    assert list(EXECUTORS) == ["serial", "processes", "ray", "slurm"]
    with pytest.raises(InputError, match="unknown executor 'cloud'; use 'serial', 'processes'"):
        EXECUTORS.find("cloud")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("processes", {"jobs": 0}, "jobs is 0; use at least 1"),
        ("serial", {"jobs": 4}, "jobs is 4, but the executor 'serial' runs one task at a time"),
        ("processes", {"address": "head:1"}, "the address 'head:1' is of no use"),
        ("ray", {}, r"ray is not installed: pip install 'wider\[ray\]'"),
        ("slurm", {}, r"submitit is not installed: pip install 'wider\[slurm\]'"),
    ],
)
def test_what_is_refused(name: str, options: dict, words: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises((InputError, MissingExtraError), match=words):
        EXECUTORS.find(name)(**options)


@pytest.mark.parametrize("command", ["run demo", "sweep study.toml"])
def test_the_command_line_says_so_before_anything_is_trained(
    command: str, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "study.toml").write_text("data.dataset = 'digits'\ngrid.seed = [0]\n")
    assert main([*command.split(), "--executor", "ray"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "wider: ray is not installed: pip install 'wider[ray]'"
    assert not (tmp_path / "runs").exists()
