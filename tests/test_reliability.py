"""The campaign of kills and nonsense, in small, so that the script does not rot."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


def test_a_small_campaign_finds_nothing_and_says_what_it_tried(tmp_path: Path):
    output = tmp_path / "table.csv"
    parts = ["kills", "fuzz"]
    flags = ["--cases", "1", "--seed", "4", "--output", str(output), "--only", *parts]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reliability", *flags],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(output)
    assert set(table["part"]) == set(parts)
    assert (table["tried"] > 0).all()
    assert (table["failed"] == 0).all()
    assert not list(tmp_path.glob("wider-*"))
