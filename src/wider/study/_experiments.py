"""All experiments, by name."""

from wider.registry import Registry
from wider.study import demo
from wider.study._experiment import Experiment
from wider.study.drawn import figure_2, figure_8, figure_10
from wider.study.kernel import advice, advice_grid, figure_7, figure_7_rates
from wider.study.mlp import allocations, figure_4, figure_4_checks, three_ways
from wider.study.resnet import (
    figure_1,
    figure_3,
    figure_5,
    figure_6,
    figure_9,
    figure_11,
    figure_12,
    figure_13,
    table_1,
)

EXPERIMENTS: Registry[Experiment] = Registry("experiment", group="wider.experiments")
"""The experiments in the order in which readers see them."""

for _experiment in (
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
):
    EXPERIMENTS.register(_experiment.name)(_experiment)
