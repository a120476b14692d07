"""What the commands print, and say."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import wider
from wider.catalogue import ListedExperiment, ListedScale
from wider.cli._tables import Columns

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5  # diverged runs that are named on the screen
# Columns of a summary that are left out first where there is no room; then those at its end.
LEAST = (
    "num_effective_weights",
    "multiply_adds",
    "diverged",
    "final_train_accuracy",
    "final_train_metric",
    "seeds",
    "num_weights",
    "connectivity",
    "final_test_accuracy",
    "final_test_metric",
)
MOST = 4  # columns at its start that say of which net a row is


def print_data(text: str) -> None:
    """Writes what programs read to standard output: the same bytes on every system."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())


def print_summary(table: "pd.DataFrame") -> None:
    """Prints the summary of an experiment; ± is half of the 95% interval over seeds."""
    has_intervals = any(name.endswith("_interval") for name in table.columns)
    in_points = any("accuracy" in name for name in table.columns)
    caption = f"mean over seeds ± half of its 95% interval{', in points' if in_points else ''}"
    compact = wider.report.with_intervals(table)
    names = list(compact.columns)
    last = [name for name in reversed(names[MOST:]) if name not in LEAST]
    shown = Columns(
        [wider.report.heading(name) for name in names],
        expendable=[wider.report.heading(name) for name in (*LEAST, *last) if name in names],
        caption=caption if has_intervals else None,
    )
    for row in wider.report.cells(compact):
        shown.add(row)
    shown.print()


def print_experiments(listed: Mapping[str, ListedExperiment]) -> None:
    """Prints what can be run and what it costs."""
    shown = Columns(
        ("experiment", "scale", "needs", "disk", "runs", "core time", "GPU time", "what"),
        expendable=("disk", "GPU time", "needs", "runs"),
        texts=("experiment", "scale", "needs", "disk", "what"),
        caption="core time: estimated for one core, native engine where it applies. GPU time: one "
        "H200, from counted multiply-adds, zeros included, fitted to ResNet-18 on CIFAR-10. "
        "Disk: the dataset as downloaded and as prepared",
    )
    for name, experiment in listed.items():
        for scale_name, scale in experiment.scales.items():
            shown.add((name, scale_name, *_costs(scale), scale.description))
        shown.add((*[""] * 7, experiment.title))
        shown.end_section()
    shown.print()


def said_of_diverged(titles: Sequence[str], *, num_runs: int, listed_by: str) -> str | None:
    """What to say of diverged runs.

    Args:
        titles: of those runs.
        num_runs: how many runs there are, those that did not diverge included.
        listed_by: a command that lists them all.

    Returns:
        One line, or None where no run diverged.
    """
    if not titles:
        return None
    more = f"; and {len(titles) - NAMED} more" if len(titles) > NAMED else ""
    how_many = f"{len(titles)} of {num_runs} run{'s' if num_runs > 1 else ''} diverged"
    return f"{how_many}: {'; '.join(titles[:NAMED])}{more}. All of them, by status: {listed_by}"


def _costs(scale: ListedScale) -> list[str]:
    if not scale.num_runs:
        return ["-"] * 5
    return [
        ", ".join(scale.datasets),
        f"{scale.gigabytes} GB" if scale.gigabytes else "-",
        str(scale.num_runs),
        _duration(scale.core_seconds),
        _duration(scale.gpu_seconds),
    ]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return "seconds"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"
