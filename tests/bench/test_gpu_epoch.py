"""The benchmark of epochs on a GPU, tried on the CPU at a size that takes a moment."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_epoch.py"


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_every_peer_has_its_row(tmp_path: Path):
    sizes = {"num-images": 30, "base-width": 1, "width": 2, "workers": 1, "repetitions": 2}
    flags = [word for name, size in sizes.items() for word in (f"--{name}", size)]
    output = tmp_path / "table.csv"
    done = call("--device", "cpu", "--sharing", 2, "--output", output, *flags)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(output).set_index("peer")
    assert table["runs"].to_dict() == {
        "wider, bfloat16": 1,
        "wider, float32": 1,
        "common way": 1,
        "wider, bfloat16, in processes": 2,
    }
    median = table["seconds"]
    assert table["epochs_per_second"]["common way"] == pytest.approx(1 / median["common way"])
    assert table["epochs_per_second"].iloc[-1] == pytest.approx(2 / median.iloc[-1])
    assert table["ratio"]["common way"] == pytest.approx(
        median["common way"] / median["wider, bfloat16"]
    )
    assert table["images"].eq("random images, array").all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_measured():
    done = call()
    assert done.returncode == 2
    assert done.stderr == "gpu_epoch needs a GPU that PyTorch can use, and there is none\n"
