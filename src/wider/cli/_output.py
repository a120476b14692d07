"""Tables on standard output."""

from collections.abc import Iterable

import pandas as pd
from rich.console import Console
from rich.table import Table

from wider.experiments import (
    Experiment,
    Scale,
    estimated_core_seconds,
    estimated_gigabytes,
    estimated_gpu_hours,
)
from wider.report import cells, heading, with_intervals

PIPED_WIDTH = 200  # a file or a pipe has no width of its own to cut a table to


def print_summary(table: pd.DataFrame) -> None:
    """Prints the summary of an experiment; ± is half of the 95% interval over seeds."""
    has_intervals = any(name.endswith("_interval") for name in table.columns)
    caption = "accuracy: mean over seeds ± half of its 95% interval, in points"
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


def console() -> Console:
    """Standard output, wide where it is no terminal."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(width=PIPED_WIDTH, highlight=False)
