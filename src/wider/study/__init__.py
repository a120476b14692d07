"""The paper's figures and tables: each with its runs and its drawing."""

from wider.extras import need

need("study")

from wider.catalogue import experiment_in
from wider.study import (
    advice,
    advice_chart,
    advice_grid,
    allocations,
    demo,
    figure_1,
    figure_2,
    figure_3,
    figure_4,
    figure_4_checks,
    figure_5,
    figure_6,
    figure_7,
    figure_7_rates,
    figure_8,
    figure_9,
    figure_10,
    figure_11,
    figure_12,
    figure_13,
    table_1,
    three_ways,
)
from wider.study._cost import (
    as_listed,
    estimated_core_seconds,
    estimated_gigabytes,
    estimated_gpu_hours,
)
from wider.study._experiment import IN_PAPER, Experiment, Picture, Scale
from wider.study._resnet import dataset_title
from wider.study._study_lines import families, means, same_lines
from wider.study._subjects import SUBJECTS
from wider.study._table import of_the_same_images, read_table, runs_table, table_of_store
from wider.study._verdict import Verdict, verdicts
from wider.study.own_study import own_study

__all__ = [
    "EXPERIMENTS",
    "IN_PAPER",
    "SUBJECTS",
    "Experiment",
    "Picture",
    "Scale",
    "Verdict",
    "advice_chart",
    "as_listed",
    "dataset_title",
    "estimated_core_seconds",
    "estimated_gigabytes",
    "estimated_gpu_hours",
    "families",
    "find",
    "means",
    "of_the_same_images",
    "own_study",
    "read_table",
    "runs_table",
    "same_lines",
    "table_of_store",
    "verdicts",
]

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        demo.EXPERIMENT,
        figure_1.EXPERIMENT,
        figure_2.EXPERIMENT,
        figure_3.EXPERIMENT,
        figure_4.EXPERIMENT,
        figure_4_checks.EXPERIMENT,
        figure_5.EXPERIMENT,
        figure_6.EXPERIMENT,
        figure_7.EXPERIMENT,
        figure_7_rates.EXPERIMENT,
        figure_8.EXPERIMENT,
        figure_9.EXPERIMENT,
        figure_10.EXPERIMENT,
        figure_11.EXPERIMENT,
        figure_12.EXPERIMENT,
        figure_13.EXPERIMENT,
        table_1.EXPERIMENT,
        advice.EXPERIMENT,
        advice_grid.EXPERIMENT,
        three_ways.EXPERIMENT,
        allocations.EXPERIMENT,
    )
}


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        InputError: there is none.
    """
    return experiment_in(EXPERIMENTS, name)
