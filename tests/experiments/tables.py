"""Tables of runs that nobody trained."""

from collections.abc import Callable, Sequence

import pandas as pd

from wider.runs import RunSpec

ENCODINGS = {"cifar10": "jpeg"}


def table_of(specs: Sequence[RunSpec], accuracy: Callable[[RunSpec], float]) -> pd.DataFrame:
    """One row per spec, as `runs_table` has them, with the accuracies that a function gives."""
    return pd.DataFrame([_row(spec, accuracy(spec)) for spec in specs])


def _row(spec: RunSpec, accuracy: float) -> dict[str, object]:
    widening = spec.widening
    return {
        "dataset": spec.data.dataset,
        "data_encoding": ENCODINGS.get(spec.data.dataset, "png"),
        "method": widening.method,
        "pattern": widening.pattern,
        "base_width": widening.base_width,
        "width": widening.width,
        "seed": spec.seed,
        "status": "finished",
        "num_weights": 1000,
        "num_effective_weights": 900 if widening.method == "linear_bottleneck" else 1000,
        "connectivity": (widening.base_width / widening.width) ** 2,
        "multiply_adds": 5000,
        "best_test_accuracy": accuracy,
        "final_test_accuracy": accuracy - 0.01,
        "final_train_accuracy": accuracy + 0.05,
    }
