"""Verdicts on claims, each by the first table of runs that is enough, and all of them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pandas as pd

from wider.evidence._claim import Claim, Outcome, holm
from wider.evidence._interval import Evidence
from wider.intervals import CONFIDENCE


@dataclass(frozen=True)
class Verdict:
    """A claim and what came of it.

    Attributes:
        claim: the claim.
        outcome: the verdict, at 95% confidence.
        evidence: what the runs say; None where it has not been run.
        decided_by: the name of the table that decided; None where none did.
        p_value: the smallest risk at which there is a verdict; None without an interval.
        corrected_p_value: the same beside all other claims with an interval, so that in 95% of
            studies like this one no word is wrong whose corrected value is at most .05 (Holm).
    """

    claim: Claim
    outcome: Outcome
    evidence: Evidence | None = None
    decided_by: str | None = None
    p_value: float | None = None
    corrected_p_value: float | None = None

    @property
    def holds_corrected(self) -> bool:
        """Whether the word stays the same when it is corrected for the number of claims."""
        return self.corrected_p_value is not None and self.corrected_p_value <= 1 - CONFIDENCE


def verdict_on(claim: Claim, tables: Mapping[str, pd.DataFrame]) -> Verdict:
    """A verdict by the first table whose runs are enough.

    Enough for an interval, or else, where no table has seeds for one, for a number.

    Args:
        claim: the claim.
        tables: of runs, by name, the most telling first.
    """
    without_interval = None
    for name, runs in tables.items():
        table = claim.runs_of(runs)
        evidence = claim.measure(table) if len(table) else None
        if evidence is None:
            continue
        verdict = Verdict(claim, claim.outcome(evidence), evidence, decided_by=name)
        if evidence.has_interval:
            return replace(verdict, p_value=claim.p_value(evidence))
        without_interval = without_interval or verdict
    return without_interval or Verdict(claim, "not yet run")


Found = TypeVar("Found", bound=Verdict)


def corrected(verdicts: Sequence[Found]) -> list[Found]:
    """The same verdicts, each with its p-value corrected for how many claims were tested."""
    p_values = iter(holm([each.p_value for each in verdicts if each.p_value is not None]))
    return [
        each if each.p_value is None else replace(each, corrected_p_value=next(p_values))
        for each in verdicts
    ]
