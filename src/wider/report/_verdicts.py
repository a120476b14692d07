"""The verdicts on the paper's claims, as the page shows them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from wider.evidence import Evidence, Outcome
from wider.experiments import EXPERIMENTS, Experiment, Verdict, verdicts

# Told apart by word and sign; the colour comes on top.
SIGNS: Mapping[Outcome, str] = {
    "supported": "✓",
    "contradicted": "✗",
    "inconclusive": "?",
    "not yet run": "·",
}
POINTS = "points"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Judged:
    """A verdict with the number that it has on the page.

    Attributes:
        number: from 1, those with an interval first, those without runs last.
        verdict: the verdict.
        anchor: of the section with its figure; None where the page has none.
    """

    number: int
    verdict: Verdict
    anchor: str | None

    @property
    def sign(self) -> str:
        """Of the outcome."""
        return SIGNS[self.verdict.outcome]

    @property
    def effect(self) -> str:
        """The quantity, with its unit."""
        value = evidence_of(self.verdict).effect.value
        return f"{number_text(value, self.verdict.claim.unit)} {self.verdict.claim.unit}".strip()

    @property
    def has_interval(self) -> bool:
        """Whether enough seeds are there for one."""
        return _how_unsure(self.verdict) == 0

    @property
    def interval(self) -> str:
        """Of 95% confidence, or why there is none."""
        if not self.has_interval:
            return "one seed, so no interval"
        _, low, high = evidence_of(self.verdict).effect
        unit = self.verdict.claim.unit
        if math.isinf(low):
            return f"95% interval up to {number_text(high, unit)}"
        if math.isinf(high):
            return f"95% interval {number_text(low, unit)} and more"
        return f"95% interval {number_text(low, unit)} to {number_text(high, unit)}"

    @property
    def holds_where(self) -> str:
        """The claim's range, in words."""
        return self.verdict.claim.holds_where.replace("-", MINUS)

    @property
    def corrected(self) -> str:
        """What is left of the outcome when it is corrected for the number of claims."""
        return f"still {self.verdict.outcome}" if self.verdict.holds_corrected else "inconclusive"


def judged(
    runs: pd.DataFrame, experiments: Iterable[Experiment], anchors: Sequence[str]
) -> list[Judged]:
    """The verdicts on all claims of some experiments, the surest kind of evidence first; none
    where no claim has been run.

    Args:
        runs: one row per run.
        experiments: whose claims are shown.
        anchors: of the sections that the page has.
    """
    shown = {experiment.name: experiment for experiment in experiments}
    # A claim may need runs of an experiment that is not shown.
    found = [
        verdict
        for verdict in verdicts(runs, EXPERIMENTS | shown)
        if verdict.experiment.name in shown
    ]
    if all(verdict.evidence is None for verdict in found):
        return []  # these runs are about something else
    found.sort(key=_how_unsure)  # stable: else the paper's order
    return [
        Judged(number, verdict, _anchor(verdict, anchors))
        for number, verdict in enumerate(found, start=1)
    ]


def counts(rows: Sequence[Judged]) -> dict[Outcome, int]:
    """How many claims have each outcome."""
    return {outcome: sum(row.verdict.outcome == outcome for row in rows) for outcome in SIGNS}


def number_text(value: float, unit: str) -> str:
    """Points with a sign and two digits, other numbers with three."""
    text = f"{value:+.2f}" if unit == POINTS else f"{value:.3g}"
    return text.replace("-", MINUS)


def evidence_of(verdict: Verdict) -> Evidence:
    """The evidence of a claim that has been run."""
    assert verdict.evidence is not None, verdict.claim.name
    return verdict.evidence


def _how_unsure(verdict: Verdict) -> int:
    if verdict.evidence is None:
        return 2
    return int(verdict.p_value is None)


def _anchor(verdict: Verdict, anchors: Sequence[str]) -> str | None:
    name = verdict.experiment.name
    scales = [verdict.scale.name] if verdict.scale else list(verdict.experiment.scales)[::-1]
    return next((found for scale in scales if (found := f"{name}-{scale}") in anchors), None)
