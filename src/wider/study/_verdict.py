"""Verdicts on the claims, from whatever runs there are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from wider.evidence import CONFIDENCE, Claim, Evidence, Outcome, holm
from wider.study._experiment import Experiment, Scale
from wider.study._resnet import dataset_title

TOO_SMALL = "smoke"  # a scale that shows that something runs, and nothing else


@dataclass(frozen=True)
class Verdict:
    """A claim and what came of it.

    Attributes:
        claim: the claim.
        experiment: whose runs are to check it.
        outcome: the verdict, at 95% confidence.
        evidence: what the runs say; None where it has not been run.
        scale: of the runs.
        data: that they were trained on, such as "mnist" or "re-encoded cifar10".
        p_value: the smallest risk at which there is a verdict; None without an interval.
        corrected_p_value: the same beside all other claims with an interval, so that in 95% of
            studies like this one no word is wrong whose corrected value is at most .05 (Holm).
    """

    claim: Claim
    experiment: Experiment
    outcome: Outcome
    evidence: Evidence | None = None
    scale: Scale | None = None
    data: str = ""
    p_value: float | None = None
    corrected_p_value: float | None = None

    @property
    def holds_corrected(self) -> bool:
        """Whether the word stays the same when it is corrected for the number of claims."""
        return self.corrected_p_value is not None and self.corrected_p_value <= 1 - CONFIDENCE


def verdicts(runs: pd.DataFrame, experiments: Mapping[str, Experiment]) -> list[Verdict]:
    """A verdict on every claim of the experiments, each at the largest scale that can give one.

    Args:
        runs: one row per run, of any experiments.
        experiments: by name.
    """
    tables = {
        experiment.name: _tables_by_scale(experiment, runs) for experiment in experiments.values()
    }
    found = [
        _verdict(claim, experiment, tables[experiment.name])
        for experiment in experiments.values()
        for claim in experiment.claims
    ]
    p_values = [each.p_value for each in found if each.p_value is not None]
    corrected = iter(holm(p_values))
    return [
        each if each.p_value is None else replace(each, corrected_p_value=next(corrected))
        for each in found
    ]


def has_interval(evidence: Evidence) -> bool:
    """Whether there are seeds enough for at least one end of it."""
    return not (math.isinf(evidence.effect.low) and math.isinf(evidence.effect.high))


def _tables_by_scale(experiment: Experiment, runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The runs of each scale, the largest scale first."""
    if not experiment.claims:
        return {}
    return {
        scale.name: table
        for scale in reversed(list(experiment.scales.values()))
        if scale.name != TOO_SMALL and len(table := runs[runs["key"].isin(scale.keys)])
    }


def _verdict(claim: Claim, experiment: Experiment, tables: Mapping[str, pd.DataFrame]) -> Verdict:
    """By the largest scale whose runs are enough.

    Enough for an interval, or else, where no scale has seeds for one, for a number.
    """
    without_interval = None
    for name, runs in tables.items():
        table = runs if claim.dataset is None else runs[runs["dataset"] == claim.dataset]
        evidence = claim.measure(table) if len(table) else None
        if evidence is None:
            continue
        scale, data = experiment.scales[name], _data(table)
        outcome = claim.outcome(evidence)
        verdict = Verdict(claim, experiment, outcome, evidence, scale, data)
        if has_interval(evidence):
            return replace(verdict, p_value=claim.p_value(evidence))
        without_interval = without_interval or verdict
    return without_interval or Verdict(claim, experiment, "not yet run")


def _data(table: pd.DataFrame) -> str:
    return ", ".join(sorted({dataset_title(table, name) for name in table["dataset"].unique()}))
