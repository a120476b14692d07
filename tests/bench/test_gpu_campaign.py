"""The campaign for a GPU that is there for minutes, tried on the CPU."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from wider.study import EXPERIMENTS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_campaign.sh"
QUEUE = runpy.run_path(str(SCRIPT.with_name("gpu_runs.py")))
TABLES = [*(f"figure-{number}" for number in (1, 3, 5, 6, 9)), "allocations"]


@pytest.fixture
def call(tmp_path: Path, data_dir: Path):
    """Calls the script and returns what it printed and its exit code."""

    def call(*arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            # The interpreter of the tests is the `python3` of the script.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OUT": str(tmp_path / "out"),
            "WORK": str(tmp_path / "work"),
            "DATA": str(data_dir),
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
            **{name: str(value) for name, value in variables.items()},
        }
        return subprocess.run(
            ["bash", str(SCRIPT), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    return call


def test_a_dry_run_does_every_step_and_the_next_slice_nothing_again(call, tmp_path: Path):
    first = call("--dry-run", SECONDS_LEFT=900)
    assert first.returncode == 0, first.stdout[-3000:]
    for step in ("runs", "gpu-epoch"):
        assert f"== {step}: exit code 0" in first.stdout
    for name in TABLES:
        table = pd.read_csv(tmp_path / "out" / f"{name}-smoke.csv")
        assert (table["status"] == "finished").all()
    checks = (tmp_path / "out" / "checks.txt").read_text()
    assert "passed" in checks or "skipped" in checks
    assert (tmp_path / "out" / "gpu-epoch.csv").exists()
    assert (tmp_path / "out" / "log.txt").read_text() == first.stdout

    second = call("--dry-run")
    assert second.returncode == 0
    assert "==" not in second.stdout


def test_what_there_is_no_time_for_is_named_and_is_no_failure(call, tmp_path: Path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "smoke-checks.done").touch()
    done = call("--dry-run", SECONDS_LEFT=30, OUT=tmp_path / "out")
    assert "left for the next slice: runs" in done.stdout
    assert "left for the next slice: gpu-epoch" in done.stdout
    assert "FAILED" not in done.stdout
    assert done.returncode == 0


def test_a_step_that_fails_makes_it_fail(call, tmp_path: Path):
    bad = tmp_path / "bad-data"
    (bad / "cifar10").mkdir(parents=True)
    (bad / "cifar10" / "train.parquet").write_text("no parquet")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "smoke-checks.done").touch()
    (tmp_path / "work" / "smoke-gpu-epoch.done").touch()
    done = call("--dry-run", DATA=bad)
    assert done.returncode == 1
    assert "no data: mnist" in done.stdout
    assert "FAILED: runs" in done.stdout


def test_runs_without_data_are_named_and_wait_for_the_next_slice(
    call, data_dir: Path, tmp_path: Path
):
    part = tmp_path / "part"
    part.mkdir()
    (part / "mnist").symlink_to(data_dir / "mnist")
    (tmp_path / "work").mkdir()
    for step in ("checks", "gpu-epoch"):
        (tmp_path / "work" / f"smoke-{step}.done").touch()
    done = call("--dry-run", DATA=part)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "no data: cifar10" in done.stdout
    assert [path.name for path in (tmp_path / "out").glob("*.csv")] == ["allocations-smoke.csv"]
    assert not (tmp_path / "work" / "smoke-runs.done").exists()


@pytest.mark.parametrize("scale", ["smoke", "gpu"])
def test_the_queue_has_every_run_once(scale: str):
    specs = QUEUE["wanted"](scale)
    of_tables = [spec for name in TABLES for spec in EXPERIMENTS[name].scale(scale).specs()]
    assert len(set(specs)) == len(specs)
    assert set(specs) == set(of_tables)


def test_the_queue_begins_with_what_its_order_names():
    places = [(spec.data.dataset, spec.widening.base_width) for spec in QUEUE["wanted"]("gpu")]
    assert list(dict.fromkeys(places)) == list(
        dict.fromkeys((dataset, base) for _, dataset, base, _ in QUEUE["ORDER"])
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_fails_and_says_so(call):
    done = call()
    assert done.returncode == 1
    assert "PyTorch finds no GPU here; --dry-run tries all steps on the CPU" in done.stdout
