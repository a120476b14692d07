"""The paper's figures and tables: each with its runs and its drawing."""

from wider.errors import InputError
from wider.experiments import demo, figure_1, figure_4, figure_4_checks, figure_9
from wider.experiments._cost import estimated_core_seconds
from wider.experiments._experiment import Experiment, Picture, Scale
from wider.experiments._table import runs_table

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "Picture",
    "Scale",
    "estimated_core_seconds",
    "find",
    "runs_table",
]

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        demo.EXPERIMENT,
        figure_1.EXPERIMENT,
        figure_4.EXPERIMENT,
        figure_4_checks.EXPERIMENT,
        figure_9.EXPERIMENT,
    )
}


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        InputError: there is none.
    """
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise InputError(f"unknown experiment {name!r}; use one of: {known}")
    return EXPERIMENTS[name]
