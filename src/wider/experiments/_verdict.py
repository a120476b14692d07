"""Verdicts on the claims, from whatever runs there are."""

import math
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
            that, of all claims with an interval, none comes out wrong in 95% of studies like
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
    keys = {
        (experiment.name, scale.name): {spec.key for spec in scale.specs()}
        for experiment in experiments.values()
        for scale in experiment.scales.values()
        if scale.name != TOO_SMALL
    }
    tables = {claim.name: _largest(claim, experiment, runs, keys) for claim, experiment in claims}
    tested = [found[2] for found in tables.values() if found is not None]
    count = sum(not math.isnan(evidence.effect.low) for evidence in tested)
    corrected = 1 - (1 - CONFIDENCE) / max(count, 1)
    return [
        _verdict(claim, experiment, tables[claim.name], corrected) for claim, experiment in claims
    ]


def _largest(
    claim: Claim,
    experiment: Experiment,
    runs: pd.DataFrame,
    keys: Mapping[tuple[str, str], set[str]],
) -> tuple[Scale, pd.DataFrame, Evidence] | None:
    """The largest scale whose runs are enough, those runs, and what they say.

    Enough for an interval, or else, where no scale has seeds for one, for a number.
    """
    without_interval = None
    for scale in reversed(list(experiment.scales.values())):
        table = runs[runs["key"].isin(keys.get((experiment.name, scale.name), set()))]
        if claim.dataset is not None:
            table = table[table["dataset"] == claim.dataset]
        if table.empty:
            continue
        evidence = claim.measure(table, CONFIDENCE)
        if evidence is None:
            continue
        if not math.isnan(evidence.effect.low):
            return scale, table, evidence
        without_interval = without_interval or (scale, table, evidence)
    return without_interval


def _verdict(
    claim: Claim,
    experiment: Experiment,
    found: tuple[Scale, pd.DataFrame, Evidence] | None,
    corrected: float,
) -> Verdict:
    if found is None:
        return Verdict(claim, experiment, "not yet run")
    scale, table, evidence = found
    stricter = claim.measure(table, corrected)
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
