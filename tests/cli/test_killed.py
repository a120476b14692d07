"""Two workers train, and one of the processes is killed."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from wider.cli import main
from wider.runs import Run, Store, execute, read_study

STUDY = """
data = { dataset = "digits", num_train = 230 }
widening = { base_width = 2, width = 6 }
recipe = { epochs = 60, batch_size = 20 }
grid.seed = [0, 1, 2, 3, 4, 5]
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("WIDER_CACHE_DIR", str(tmp_path / "cache"))
    study = tmp_path / "study.toml"
    study.write_text(STUDY)
    return ["sweep", str(study), "--store", str(tmp_path / "runs"), "--jobs"]


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if "wider.executors" in " ".join(child.cmdline())]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def num_finished(folder: Path) -> int:
    return len(list(folder.glob("runs/*/result.json")))


def finished_by(command: list[str], folder: Path) -> None:
    """The same command goes on, and all is as if nothing had happened."""
    there = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/result.json")}
    assert 0 < len(there) < 6
    assert main([*command, "1"]) == 0
    assert there == {path: path.stat().st_mtime_ns for path in there}
    specs = read_study(folder / "study.toml").specs
    runs = [Store(folder / "runs").read(spec) for spec in specs]
    whole = Store(folder / "whole")
    for run in (runs[0], runs[-1]):
        assert run is not None
        assert content(Store(folder / "runs"), run) == content(whole, execute(run.spec, whole))
    assert not list(folder.glob("runs/*/.*"))


def content(store: Store, run: Run) -> tuple[bytes, float | None]:
    path = store.folder(run.spec) / "model.safetensors"
    return path.read_bytes(), run.result.final.test_accuracy


def test_workers_end_with_a_command_that_is_killed(command: list[str], tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-m", "wider", *command, "2"], stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: num_finished(tmp_path))
        workers = workers_of(psutil.Process(process.pid))
        process.kill()
        assert len(workers) == 2
        wait_for(lambda: not any(map(is_alive, workers)))
        assert "Traceback" not in process.communicate()[1]
    finished_by(command, tmp_path)


def test_a_worker_that_is_killed_is_told_of_in_a_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def kill() -> None:
        wait_for(lambda: num_finished(tmp_path))
        workers_of(psutil.Process())[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    assert main([*command, "2"]) == 2
    killer.join()
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("wider: a worker process was killed (SIGKILL)")
    assert "use fewer jobs; the same command goes on" in line
    finished_by(command, tmp_path)
