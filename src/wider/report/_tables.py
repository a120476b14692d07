"""The tables of a section as a reader sees them: means, the paper's numbers beside ours, costs."""

from typing import Any

import numpy as np
import pandas as pd

from wider.models import ACTIVATION_NAMES
from wider.report._sections import Section
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

OURS = "best_test_accuracy"
BESIDE_PAPER = ["dataset", "activation", "method", "normalisation", "width"]
BESIDE_PAPER_LAST = ["seeds", "output_connectivity"]
# What tells nets apart, as far as they cost something else.
NETS = ["dataset", "model", "activation", "method", "base_width", "exclude", "pattern", "width"]
SIZES = {
    "num_weights": "weights",
    "num_effective_weights": "effective weights",
    "multiply_adds": "multiply-adds an example",
    "epochs_trained": "epochs",
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
        if shown[column].eq("-").all():  # runs that have another metric
            del shown[column]
    return shown


def beside_paper(section: Section) -> pd.DataFrame:
    """Best-epoch accuracies of nets of which the paper prints a number, one row each.

    Args:
        section: of any experiment.

    Returns:
        The net, the paper's accuracy, ours with its interval, how far ours is above, and the seeds.
        Of several of our nets that the paper's number may mean, the best one. Empty where the paper
        has no numbers, or we have no runs.
    """
    summary = section.summary
    if OURS not in summary:
        return pd.DataFrame()
    if IN_PAPER not in summary:
        paper = section.paper
        if paper.empty:
            return pd.DataFrame()
        best_first = summary.sort_values(OURS, ascending=False)
        on = [name for name in paper.columns if name != IN_PAPER]
        summary = best_first.drop_duplicates(on).merge(paper, on=on).sort_values(on)
    known = summary.dropna(subset=[OURS])
    shown = [name for name in BESIDE_PAPER if name in known]
    table = known[[*shown, IN_PAPER, OURS, f"{OURS}_deviation", f"{OURS}_interval"]].copy()
    table["ours_less_the_paper"] = [
        f"{100 * gap:+.2f} points" for gap in known[OURS] - known[IN_PAPER]
    ]
    return table.assign(**{name: known[name] for name in BESIDE_PAPER_LAST if name in known})


def costs(section: Section) -> pd.DataFrame:
    """Weights, arithmetic and time, one row per net.

    Args:
        section: with runs; without any, there are no costs.

    Returns:
        What differs between the nets, their sizes, the mean seconds of a run, the engines, and how
        many runs that is over. Where runs of a net differ in size, the range.
    """
    table = section.table
    if table.empty:
        return pd.DataFrame()
    by = [name for name in NETS if table[name].nunique(dropna=False) > 1 or name == "width"]
    nets = table.groupby(by, dropna=False)
    lowest, highest = nets[list(SIZES)].min(), nets[list(SIZES)].max()
    shown = pd.DataFrame(
        {words: list(map(_range, lowest[name], highest[name])) for name, words in SIZES.items()},
        index=lowest.index,
    )
    seconds = nets["seconds"].agg(lambda each: f"{each.mean():,.1f}")
    shown.insert(len(SIZES) - 1, "seconds a run", seconds)
    return shown.assign(engine=nets["engine"].agg(_names), runs=nets.size()).reset_index()


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


def _half(column: str, interval: float) -> str:
    return f"{100 * interval:.2f}" if "accuracy" in column else f"{interval:.2g}"


def _range(lowest: float, highest: float) -> str:
    if pd.isna(lowest):
        return "-"
    return f"{lowest:,.0f}" if lowest == highest else f"{lowest:,.0f} to {highest:,.0f}"


def _names(engines: pd.Series) -> str:
    return ", ".join(sorted(engines.dropna().unique()))
