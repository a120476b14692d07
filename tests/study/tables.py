"""Tables of runs that nobody trained."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from wider.runs import RunSpec, asked

ENCODINGS = {"cifar10": "jpeg"}
NUM_FEATURES = {"digits": 64, "mnist": 784, "cifar10": 1024}


def table_of(specs: Sequence[RunSpec], accuracy: Callable[[RunSpec], float]) -> pd.DataFrame:
    """One row per spec, as `runs_table` has them, with the accuracies that a function gives."""
    return pd.DataFrame([_row(spec, accuracy(spec)) for spec in specs])


def _row(spec: RunSpec, accuracy: float) -> dict[str, object]:
    widening, shrunk = spec.widening, spec.data.shrunk_to
    allocation = widening.allocation
    return asked(spec) | {
        "data_encoding": ENCODINGS.get(spec.data.dataset, "png"),
        "output_connectivity": allocation.get("output") if isinstance(allocation, dict) else 1,
        "num_features": shrunk**2 if shrunk else NUM_FEATURES.get(spec.data.dataset, math.nan),
        "hidden_connectivity": widening.base_width / widening.width,
        "status": "finished",
        "num_weights": 1000,
        "num_effective_weights": 900 if widening.method == "linear_bottleneck" else 1000,
        "connectivity": (widening.base_width / widening.width) ** 2,
        "multiply_adds": 5000,
        "best_test_accuracy": accuracy,
        "final_test_accuracy": accuracy - 0.01,
        "final_train_accuracy": accuracy + 0.05,
        "key": spec.key,
    }
