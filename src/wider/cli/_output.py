"""Tables on standard output."""

from collections.abc import Iterable

import pandas as pd
from rich.console import Console
from rich.table import Table

from wider.experiments import Experiment, estimated_core_seconds
from wider.report import cells, heading, with_intervals

PIPED_WIDTH = 200  # a file or a pipe has no width of its own to cut a table to


def print_summary(table: pd.DataFrame) -> None:
    """Prints the summary of an experiment; ± is half of the 95% interval over seeds."""
    shown = Table(caption="accuracy: mean over seeds ± half of its 95% interval, in points")
    compact = with_intervals(table)
    for column in compact.columns:
        shown.add_column(heading(column), justify="right")
    for row in cells(compact):
        shown.add_row(*row)
    _console().print(shown)


def print_experiments(experiments: Iterable[Experiment]) -> None:
    """Prints what can be run and what it costs."""
    shown = Table(caption="core time: estimated for one core, native engine where it applies")
    for column in ("experiment", "scale", "needs", "runs", "core time", "what it is"):
        shown.add_column(column)
    for experiment in experiments:
        for scale in experiment.scales.values():
            specs = scale.specs()
            shown.add_row(
                experiment.name,
                scale.name,
                ", ".join(scale.datasets),
                str(len(specs)),
                _duration(estimated_core_seconds(specs)),
                scale.description,
            )
        shown.add_row("", "", "", "", "", experiment.title, end_section=True)
    _console().print(shown)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return "seconds"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=PIPED_WIDTH, highlight=False)
