"""Tables on standard output."""

import sys
from collections.abc import Iterable, Sequence

import pandas as pd
from rich.table import Table

from wider.console import console
from wider.report import cells, heading, with_intervals
from wider.study import (
    Experiment,
    Scale,
    estimated_core_seconds,
    estimated_gigabytes,
    estimated_gpu_hours,
)

NAMED = 5  # diverged runs that are named on the screen


def print_data(text: str) -> None:
    """Writes what programs read to standard output: the same bytes on every system."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())


def print_summary(table: pd.DataFrame) -> None:
    """Prints the summary of an experiment; ± is half of the 95% interval over seeds."""
    has_intervals = any(name.endswith("_interval") for name in table.columns)
    in_points = any("accuracy" in name for name in table.columns)
    caption = f"mean over seeds ± half of its 95% interval{', in points' if in_points else ''}"
    shown = Table(caption=caption if has_intervals else None)
    compact = with_intervals(table)
    for column in compact.columns:
        shown.add_column(heading(column), justify="right")
    for row in cells(compact):
        shown.add_row(*row)
    console().print(shown)


def print_experiments(experiments: Iterable[Experiment]) -> None:
    """Prints what can be run and what it costs."""
    shown = Table(
        caption="core time: estimated for one core, native engine where it applies. GPU time: one "
        "H200, from counted multiply-adds, zeros included, fitted to ResNet-18 on CIFAR-10. "
        "Disk: the dataset as downloaded and as prepared"
    )
    for column in ("experiment", "scale", "needs", "disk", "runs", "core time", "GPU time", "what"):
        shown.add_column(column)
    for experiment in experiments:
        for scale in experiment.scales.values():
            shown.add_row(experiment.name, scale.name, *_costs(scale), scale.description)
        shown.add_row(*[""] * 7, experiment.title, end_section=True)
    console().print(shown)


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


def _costs(scale: Scale) -> list[str]:
    specs = scale.specs()
    if not specs:
        return ["-"] * 5
    gigabytes = estimated_gigabytes(specs)
    return [
        ", ".join(scale.datasets),
        f"{gigabytes} GB" if gigabytes else "-",
        str(len(specs)),
        _duration(estimated_core_seconds(specs)),
        _duration(3600 * estimated_gpu_hours(specs)),
    ]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return "seconds"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"
