"""The verdicts on the paper's claims, as the page shows them: a board by subject."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from wider.evidence import Evidence, Outcome
from wider.study import EXPERIMENTS, Experiment, ExperimentVerdict, Subject, verdicts

# Told apart by word and sign; the colour comes on top.
SIGNS: Mapping[Outcome, str] = {
    "supported": "✓",
    "contradicted": "✗",
    "inconclusive": "?",
    "not yet run": "·",
}
POINTS, PART = "points", "of the gain"  # units
MINUS = "\N{MINUS SIGN}"
SMALLEST_P = 0.001  # that is written out


@dataclass(frozen=True)
class VerdictRow:
    """A verdict as it stands on the page.

    Attributes:
        verdict: the verdict.
        anchor: of the section with its figure; None where the page has none.
    """

    verdict: ExperimentVerdict
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
        return self.verdict.p_value is not None

    @property
    def interval(self) -> str:
        """Of 95% confidence, or why there is none."""
        if not self.has_interval:
            one_seed = evidence_of(self.verdict).seeds == 1
            return "one seed, so no interval" if one_seed else "too unsure for an interval"
        _, low, high = evidence_of(self.verdict).effect
        unit = self.verdict.claim.unit
        if math.isinf(low):
            return f"up to {number_text(high, unit)}"
        if math.isinf(high):
            return f"{number_text(low, unit)} and more"
        return f"{number_text(low, unit)} to {number_text(high, unit)}"

    @property
    def holds_where(self) -> str:
        """The claim's range, in words."""
        return self.verdict.claim.holds_where.replace("-", MINUS)

    @property
    def corrected(self) -> str:
        """What is left of the outcome when it is corrected for the number of claims."""
        return f"still {self.verdict.outcome}" if self.verdict.holds_corrected else "inconclusive"

    @property
    def p_values(self) -> str:
        """The smallest risks at which there is an outcome, alone and corrected."""
        alone, corrected = self.verdict.p_value, self.verdict.corrected_p_value
        if alone is None or corrected is None:
            return "none without an interval"
        return f"{_p_text(alone)}; corrected for all tested claims {_p_text(corrected)}"


@dataclass(frozen=True)
class ClaimsAbout:
    """The claims about one subject.

    Attributes:
        name: such as "Bottlenecks".
        tested: those with evidence, the ones with an interval first.
        waiting: those not yet run.
    """

    name: str
    tested: list[VerdictRow]
    waiting: list[VerdictRow]

    @property
    def anchor(self) -> str:
        """Names the subject in links."""
        return "about-" + self.name.lower().replace(" ", "-").replace("'", "")

    @property
    def counts(self) -> str:
        """How many claims have which outcome, in words."""
        found = counts([*self.tested, *self.waiting])
        return ", ".join(f"{count} {outcome}" for outcome, count in found.items() if count)


def verdict_rows(
    runs: pd.DataFrame, experiments: Iterable[Experiment], anchors: Sequence[str]
) -> list[VerdictRow]:
    """The verdicts on all claims of some experiments; none where no claim has been run.

    Args:
        runs: one row per run.
        experiments: whose claims are shown.
        anchors: of the sections that the page has.
    """
    shown = {experiment.name: experiment for experiment in experiments}
    # A claim may need runs of an experiment that is not shown.
    found = [
        verdict
        for verdict in verdicts(runs, {**EXPERIMENTS, **shown})
        if verdict.experiment.name in shown
    ]
    if all(verdict.evidence is None for verdict in found):
        return []  # these runs are about something else
    return [VerdictRow(verdict, _anchor(verdict, anchors)) for verdict in found]


def by_subject(rows: Sequence[VerdictRow]) -> list[ClaimsAbout]:
    """The board: the subjects that have claims, in their order."""
    found = []
    for name in dict.fromkeys([*Subject, *(row.verdict.claim.subject for row in rows)]):
        own = [row for row in rows if row.verdict.claim.subject == name]
        tested = [row for row in own if row.verdict.evidence is not None]
        tested.sort(key=lambda row: not row.has_interval)  # stable: else the paper's order
        if own:
            found.append(ClaimsAbout(name, tested, [row for row in own if row not in tested]))
    return found


def counts(rows: Sequence[VerdictRow]) -> dict[Outcome, int]:
    """How many claims have each outcome."""
    return {outcome: sum(row.verdict.outcome == outcome for row in rows) for outcome in SIGNS}


def number_text(value: float, unit: str) -> str:
    """Points with a sign and two digits, parts in percent, other numbers with three digits."""
    if unit == PART:
        text = f"{100 * value:.0f}%"
    else:
        text = f"{value:+.2f}" if unit == POINTS else f"{value:.3g}"
    return text.replace("-", MINUS)


def evidence_of(verdict: ExperimentVerdict) -> Evidence:
    """The evidence of a claim that has been run."""
    assert verdict.evidence is not None, verdict.claim.name
    return verdict.evidence


def _p_text(value: float) -> str:
    return f"below {SMALLEST_P:g}" if value < SMALLEST_P else f"{value:.2g}"


def _anchor(verdict: ExperimentVerdict, anchors: Sequence[str]) -> str | None:
    name = verdict.experiment.name
    scales = [verdict.scale.name] if verdict.scale else list(verdict.experiment.scales)[::-1]
    return next((found for scale in scales if (found := f"{name}-{scale}") in anchors), None)
