"""Numbers as a reader sees them."""

from typing import Any

import numpy as np
import pandas as pd

from wider.models import ACTIVATION_NAMES
from wider.study import IN_PAPER

INTERVAL = "_interval"
WORDS = {
    "num_weights": "weights",
    "num_effective_weights": "effective weights",
    "multiply_adds": "multiply-adds an example",
    "best_test_accuracy": "test accuracy, best epoch",
    "final_test_accuracy": "test accuracy, last epoch",
    "final_train_accuracy": "training accuracy, last epoch",
    "best_test_metric": "on test examples, best epoch",
    "final_test_metric": "on test examples, last epoch",
    "final_train_metric": "on training examples, last epoch",
    "output_connectivity": "last layer's connectivity",
    IN_PAPER: "the paper's accuracy",
}


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """A summary as it is shown: each mean accuracy with its interval in one column of text.

    Args:
        table: what an experiment's `summarise` returns.

    Returns:
        The same rows; "96.27% ± 0.15" is a mean and half of its 95% interval, in points.
    """
    shown = table.copy()
    for interval_column in [name for name in table.columns if name.endswith(INTERVAL)]:
        column = interval_column.removesuffix(INTERVAL)
        intervals = shown.pop(interval_column)
        shown.pop(f"{column}_deviation")
        shown[column] = [
            _text(column, mean) + ("" if pd.isna(interval) else f" ± {_half(column, interval)}")
            for mean, interval in zip(table[column], intervals, strict=True)
        ]
        if shown[column].eq("-").all():  # runs that are judged by something else
            del shown[column]
    return shown


def _half(column: str, interval: float) -> str:
    return f"{100 * interval:.2f}" if "accuracy" in column else f"{interval:.2g}"


def heading(column: str) -> str:
    """The name of a column in words."""
    return WORDS.get(column, column.replace("_", " "))


def cells(table: pd.DataFrame) -> list[list[str]]:
    """The rows of a table as text: accuracies in percent, other fractions to three digits, and the
    names of activations that people read.
    """
    columns = [[_text(name, value) for value in table[name]] for name in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _text(column: str, value: Any) -> str:
    if pd.isna(value):
        return "-"
    if column == "activation":
        return ACTIVATION_NAMES.get(value, str(value))
    if isinstance(value, float) and "accuracy" in column:
        return f"{100 * value:.2f}%"
    if isinstance(value, float):
        return f"{value:.4g}" if column.endswith("_metric") else f"{value:.3g}"
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
