"""SLURM by the files and commands of a pretended one: no cluster is at hand."""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from tests.executors import fake_slurm
from tests.executors.contract import Contract, Make
from tests.executors.training import assert_same_as_serial, spec, trained

from wider.errors import InputError
from wider.executors import EXECUTORS, LostWorkerError
from wider.runs import Store

submitit = pytest.importorskip("submitit")

THREADS = "__import__('os').environ['OMP_NUM_THREADS']"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of SLURM's commands, first on the path of programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel"):
        path = folder / name
        call = shlex.join([sys.executable, fake_slurm.__file__, name, str(folder)])
        path.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("wider.executors._slurm.POLL_SECONDS", 0.05)
    monkeypatch.setattr(submitit.SlurmJob, "_results_timeout_s", 0)
    return folder


@pytest.fixture
def make(commands: Path, tmp_path: Path) -> Make:
    return lambda jobs: EXECUTORS.find("slurm")(jobs=jobs, folder=tmp_path / "store")


class TestContract(Contract):
    pass


def test_what_a_job_asks_for(commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    submit = submitit.SlurmExecutor._make_submission_file_text

    def noting(*arguments: str) -> str:
        asked.append(submit(*arguments))
        return asked[-1]

    monkeypatch.setattr(submitit.SlurmExecutor, "_make_submission_file_text", noting)
    monkeypatch.setattr("wider.executors._slurm.LONGEST_ARRAY", 2)
    executor = EXECUTORS.find("slurm")(
        jobs=7, address="short", needs_gpu=True, folder=tmp_path / "store"
    )
    assert sorted(executor.map(eval, ["'2'", "'3'", THREADS])) == ["1", "2", "3"]
    flags = [set(re.findall(r"#SBATCH --(\S+)", text)) for text in asked]
    assert len(flags) == 2
    assert flags[0] >= {"partition=short", "gpus-per-node=1", "cpus-per-task=1", "array=0-1%2"}
    assert not [flag for flag in flags[0] | flags[1] if flag.startswith(("time", "array=0-2"))]
    assert not list((tmp_path / "store").iterdir())


def test_a_job_that_is_killed(make: Make):
    with pytest.raises(LostWorkerError, match=r"SLURM job \d+ ended .*FAILED.*: allow it more"):
        list(make(1).map(eval, ["__import__('os').kill(__import__('os').getpid(), 9)"]))


def test_jobs_that_are_refused(make: Make, commands: Path):
    (commands / "sbatch").write_text("#!/bin/sh\necho no such partition >&2; exit 1\n")
    with pytest.raises(InputError, match=r"SLURM refuses the jobs .*no such partition.*--address"):
        list(make(1).map(abs, [1]))


def test_where_there_is_no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no SLURM here"):
        EXECUTORS.find("slurm")()


def test_runs_are_those_of_one_process(commands: Path, tmp_path: Path):
    specs, store = [spec(seed) for seed in (2, 0)], Store(tmp_path / "store")
    runs = trained(specs, store, executor="slurm", jobs=2)
    assert_same_as_serial(specs, store, runs, tmp_path)
    assert {run.result.provenance.executor for run in runs} == {"slurm"}
    assert not list(store.path.glob("slurm-*"))
