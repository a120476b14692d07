"""What CONTRIBUTING shows of adding things works as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

IMPORTS = """
import math
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import altair as alt
import pandas as pd
import torch
from torch import Tensor, nn

from wider import Family
from wider.charts import finish
from wider.data import (
    DATASETS, TRANSFORMATIONS, Dataset, Preprocessing, TransformationSpec, from_arrays,
)
from wider.drawing import single_mark
from wider.evidence import (
    Claim, Contrast, Evidence, difference, means_over_seeds, over_seeds,
)
from wider.executors import EXECUTORS, Executor
from wider.models import MODELS, MLPSpec, ModelSpec
from wider.randomness import stream
from wider.registry import bounded
from wider.runs import MEASUREMENTS, Measured, Measurement, RunSpec, Widening
from wider.sparsity import ALLOCATIONS, PATTERNS
from wider.study import EXPERIMENTS, Experiment, Picture, Scale
from wider.tasks import Task
from wider.training import (
    METRICS, OBJECTIVES, OPTIMISERS, SCHEDULES, Metric, Objective, OptimiserSpec, Outcome, Recipe,
    ScheduleSpec,
)
"""

RUN = """
import json, warnings
from pathlib import Path

import added

from wider.cli import main
from wider.runs import RunSpec, Store, execute

warnings.simplefilter("ignore")
store = Store(Path("store"))
digits = {
    "data": {"dataset": "digits", "transformations": [{"name": "clip", "deviations": 2.0}]},
    "model": {"name": "deep-linear", "num_layers": 3},
    "widening": {"base_width": 6, "width": 12, "allocation": "last-first", "pattern": "rows"},
    "recipe": {
        "epochs": 2,
        "optimiser": {"name": "adagrad"},
        "schedule": {"name": "inverse-root", "hold": 10},
        "metric": "top-3",
    },
    "measurements": ["weight-norm"],
}
rings = {"data": {"dataset": "two-rings"}, "widening": {"base_width": 8, "width": 16}}
rings["recipe"] = {"epochs": 40, "batch_size": 20}
numbers = {"data": {"dataset": "diabetes"}, "recipe": {"epochs": 2}}
numbers["recipe"]["objective"] = "mean-absolute-error"
told = []
for document in (digits, rings, numbers):
    run = execute(RunSpec.model_validate(document), store)
    told.append(run.result.model_dump(mode="json") | {"title": run.spec.title})
Path("told.json").write_text(json.dumps(told))
main(["run", "depth", "--store", "store", "--executor", "threads"])
main(["report", "--store", "store", "--output", "page.html"])
assert main(["results", "added:DEPTH", "--store", "store"]) == 0
assert main(["results", "added:DEEPER", "--store", "store"]) == 2
main(["train", "--help"])
"""


def test_each_example_can_be_added_and_used(tmp_path: Path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text[text.index("## A new model, optimiser, dataset") :]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 15
    assert all(len(block.splitlines()) <= 16 for block in blocks)
    (tmp_path / "added.py").write_text("\n\n".join([IMPORTS, *blocks]))
    (tmp_path / "use.py").write_text(RUN)
    done = subprocess.run(
        [sys.executable, "use.py"],
        cwd=tmp_path,
        env={**os.environ, "WIDER_CACHE_DIR": str(tmp_path / "cache"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "deep-linear: Layers, all of the same width." in done.stdout
    digits, rings, numbers = json.loads((tmp_path / "told.json").read_text())
    assert digits["title"].startswith("digits deep-linear num_layers 3 sparse (last-first)")
    assert digits["metric"] == "top-3"
    assert digits["best_test"]["test_metric"] >= digits["best_test"]["test_accuracy"]
    assert set(digits["measured"]["weight-norm"]) == {"before norm", "after norm"}
    # 6 x (64 + 6 + 6 + 10) weights; all 120 of the last layer are kept.
    assert digits["num_weights"] == 516
    assert digits["connectivity"]["4"] == 1
    assert rings["best_test"]["test_accuracy"] > 0.8  # two circles, which no line divides
    assert numbers["metric"] == "loss"
    assert numbers["best_test"]["test_metric"] < 1
    assert "name an Experiment of wider.study" in done.stderr
    page = (tmp_path / "page.html").read_text()
    assert "Digits: one hidden layer or two</h3>" in page
    assert 'id="depth-gain"' in page
