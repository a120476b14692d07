"""Verdicts on the claims of experiments, from whatever runs there are."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from wider.evidence import Claim, Verdict, corrected, verdict_on
from wider.study._experiment import Experiment, Scale
from wider.study.paper import dataset_title

TOO_SMALL = "smoke"  # a scale that shows that something runs, and nothing else


@dataclass(frozen=True, kw_only=True)
class ExperimentVerdict(Verdict):
    """A verdict on a claim of an experiment.

    Attributes:
        experiment: whose runs are to check it.
        scale: of the runs; None where it has not been run.
        data: that they were trained on, such as "mnist" or "re-encoded cifar10".
    """

    experiment: Experiment
    scale: Scale | None = None
    data: str = ""


def verdicts(runs: pd.DataFrame, experiments: Mapping[str, Experiment]) -> list[ExperimentVerdict]:
    """A verdict on every claim of the experiments, each at the largest scale that can give one.

    Args:
        runs: one row per run, of any experiments.
        experiments: by name.
    """
    found = []
    for experiment in experiments.values():
        tables = _tables_by_scale(experiment, runs) if experiment.claims else {}
        found += [_verdict(claim, experiment, tables) for claim in experiment.claims]
    return corrected(found)


def _tables_by_scale(experiment: Experiment, runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The runs of each scale, the largest scale first."""
    return {
        scale.name: table
        for scale in reversed(list(experiment.scales.values()))
        if scale.name != TOO_SMALL and len(table := runs[runs["key"].isin(scale.keys)])
    }


def _verdict(
    claim: Claim, experiment: Experiment, tables: Mapping[str, pd.DataFrame]
) -> ExperimentVerdict:
    found = verdict_on(claim, tables)
    decided_by = found.decided_by
    if decided_by is None:
        return ExperimentVerdict(**vars(found), experiment=experiment)
    trained_on = claim.runs_of(tables[decided_by])
    titles = {dataset_title(trained_on, name) for name in trained_on["dataset"].unique()}
    return ExperimentVerdict(
        **vars(found),
        experiment=experiment,
        scale=experiment.scales[decided_by],
        data=", ".join(sorted(titles)),
    )
