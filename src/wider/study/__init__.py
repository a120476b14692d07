"""What is run and drawn: the paper's figures and tables, and studies of a user's own."""

from wider.extras import need

need("study")

from wider.study._claims import Subject
from wider.study._cost import (
    as_listed,
    estimated_core_seconds,
    estimated_gigabytes,
    estimated_gpu_hours,
)
from wider.study._experiment import Experiment, Picture, Scale
from wider.study._experiments import EXPERIMENTS
from wider.study._lines import means, with_baselines
from wider.study._verdicts import ExperimentVerdict, verdicts
from wider.study.kernel.advice_chart import advice_chart
from wider.study.own import OwnStudy, own_studies
from wider.study.paper import IN_PAPER, dataset_title

__all__ = [
    "EXPERIMENTS",
    "IN_PAPER",
    "Experiment",
    "ExperimentVerdict",
    "OwnStudy",
    "Picture",
    "Scale",
    "Subject",
    "advice_chart",
    "as_listed",
    "dataset_title",
    "estimated_core_seconds",
    "estimated_gigabytes",
    "estimated_gpu_hours",
    "means",
    "own_studies",
    "verdicts",
    "with_baselines",
]
