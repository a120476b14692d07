"""Verdicts on the claims, from whatever runs there are."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from wider.experiments._claim import CONFIDENCE, Claim, Evidence, Outcome
from wider.experiments._experiment import Experiment, Scale
from wider.experiments._resnet import dataset_title

TOO_SMALL = "smoke"  # a scale that shows that something runs, and nothing else


@dataclass(frozen=True)
class Verdict:
    """A claim and what came of it.

    Attributes:
        claim: the claim.
        experiment: whose runs are to check it.
        outcome: the verdict.
        evidence: at 95% confidence; None where it has not been run.
        scale: of the runs.
        data: that they were trained on, such as "mnist" or "re-encoded cifar10".
        holds_corrected: whether the outcome stays the same when the confidence is raised so far
            that, of all claims that have been run, none comes out wrong in 95% of studies like
            this one (Bonferroni).
    """

    claim: Claim
    experiment: Experiment
    outcome: Outcome
    evidence: Evidence | None = None
    scale: Scale | None = None
    data: str = ""
    holds_corrected: bool = False


def verdicts(runs: pd.DataFrame, experiments: Mapping[str, Experiment]) -> list[Verdict]:
    """A verdict on every claim of the experiments, each at the largest scale that can give one.

    Args:
        runs: one row per run, of any experiments.
        experiments: by name.
    """
    claims = [
        (claim, experiment) for experiment in experiments.values() for claim in experiment.claims
    ]
    tables = {
        claim.name: _largest(claim, experiment, runs, experiments) for claim, experiment in claims
    }
    count = sum(found is not None for found in tables.values())
    corrected = 1 - (1 - CONFIDENCE) / max(count, 1)
    return [
        _verdict(claim, experiment, tables[claim.name], corrected) for claim, experiment in claims
    ]


def _largest(
    claim: Claim,
    experiment: Experiment,
    runs: pd.DataFrame,
    experiments: Mapping[str, Experiment],
) -> tuple[Scale, pd.DataFrame] | None:
    """The largest scale whose runs are enough, and those runs."""
    for scale in reversed(list(experiment.scales.values())):
        others = [experiments[name].scales.get(scale.name) for name in claim.also]
        keys = {spec.key for each in (scale, *others) if each for spec in each.specs()}
        table = runs[runs["key"].isin(keys)]
        if claim.dataset is not None:
            table = table[table["dataset"] == claim.dataset]
        if scale.name == TOO_SMALL or table.empty:
            continue
        if claim.measure(table, CONFIDENCE) is not None:
            return scale, table
    return None


def _verdict(
    claim: Claim,
    experiment: Experiment,
    found: tuple[Scale, pd.DataFrame] | None,
    corrected: float,
) -> Verdict:
    if found is None:
        return Verdict(claim, experiment, "not yet run")
    scale, table = found
    evidence, stricter = (claim.measure(table, each) for each in (CONFIDENCE, corrected))
    assert evidence is not None
    assert stricter is not None
    outcome = claim.outcome(evidence)
    return Verdict(
        claim,
        experiment,
        outcome,
        evidence,
        scale,
        data=_data(table),
        holds_corrected=claim.outcome(stricter) == outcome,
    )


def _data(table: pd.DataFrame) -> str:
    return ", ".join(sorted({dataset_title(table, name) for name in table["dataset"].unique()}))
