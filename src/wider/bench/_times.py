"""Suites that time their contestants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from wider.bench import _chart
from wider.bench._break_even import break_even
from wider.bench._factor import as_factor
from wider.bench._measure import measure
from wider.bench._suite import NATIVE, Case, Suite
from wider.drawing import Drawing

SLOW = 0.005  # seconds; from there on milliseconds are easier to read than microseconds
SECONDS = ["seconds", "seconds_lower", "seconds_upper"]


@dataclass(frozen=True, kw_only=True)
class TimeSuite(Suite):
    """Contestants against the clock, in turn in one process.

    A row of its table has `repetitions`, the median `seconds` of one unit with their quartiles
    `seconds_lower` and `seconds_upper`, and `ratio` of the median to the native one.

    Attributes:
        unit: what the time is of: "step".
        rivals: contestants, the fastest of which native is compared with.
        panel: the case's column that has a panel of the chart for each of its values.
        note: what a reader should know about the contestants, for the chart.
        has_break_even: whether to say where native and the fastest rival take equally long.
    """

    unit: str
    rivals: Sequence[str]
    panel: str | None = None
    note: str = ""
    has_break_even: bool = False

    def rows(self, case: Case, *, threads: int, repetitions: int) -> list[dict[str, Any]]:
        """Measures the contestants of a case: what was found, a row for each of them."""
        contestants = case.contestants()
        runs = {contestant.name: contestant.run for contestant in contestants}
        quartiles = {
            name: np.quantile(np.array(times) / case.units, (0.25, 0.5, 0.75))
            for name, times in measure(runs, repetitions=repetitions).items()
        }
        rows = []
        for contestant in contestants:
            lower, median, upper = quartiles[contestant.name]
            row = {
                "contestant": contestant.name,
                "threads": contestant.threads(threads),
                "repetitions": repetitions,
                "seconds": median,
                "seconds_lower": lower,
                "seconds_upper": upper,
                "ratio": median / quartiles[NATIVE][1],
            }
            rows.append(row)
        return rows

    def cells(self, table: pd.DataFrame) -> pd.DataFrame:
        """The part of a table that is worth printing, beside the case's columns, as text."""
        _, scale = _unit_of_time(table)
        median, lower, upper = (table[name].mul(scale).map("{:,.1f}".format) for name in SECONDS)
        return pd.DataFrame(
            {
                "contestant": table["contestant"],
                "threads": table["threads"].astype(str),
                "median": median,
                "quartiles": lower + " to " + upper,
                "ratio": table["ratio"].map(as_factor),
            }
        )

    def caption(self, table: pd.DataFrame) -> str:
        """What the cells are, in a line."""
        return f"{_unit_of_time(table)[0]} per {self.unit}; ratio of medians"

    def remarks(self, table: pd.DataFrame) -> list[str]:
        """How far native is ahead of the fastest rival, and where they are equal, by panel."""
        return [self._remark(panel, part) for panel, part in self._panels(table)]

    def draw(self, table: pd.DataFrame) -> Drawing:
        """Median times with their quartiles, both axes logarithmic."""
        name, scale = _unit_of_time(table)
        panels = []
        for title, part in self._panels(table):
            points = part.assign(
                x=part[self.along],
                y=part["seconds"] * scale,
                lower=part["seconds_lower"] * scale,
                upper=part["seconds_upper"] * scale,
            )
            lead = self._lead(part)
            numbers = lead.assign(x=lead.index)
            equal = self._equal(lead)
            panels.append(_chart.Panel(title, points, numbers, equal))
        return _chart.draw(
            panels,
            title=self.title,
            subtitle=self._subtitle(table),
            x_title=self.along.replace("_", " "),
            y_title=f"{name} per {self.unit}",
        )

    def _panels(self, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        if self.panel is None:
            yield "", table
            return
        for title, part in table.groupby(self.panel, sort=False):
            yield str(title), part

    def _lead(self, part: pd.DataFrame) -> pd.DataFrame:
        """Seconds of native and of the fastest rival along the chart, and their ratio."""
        seconds = part.pivot_table(index=self.along, columns="contestant", values="seconds")
        lead = pd.DataFrame({"native": seconds[NATIVE]})
        lead["rival"] = seconds[list(self.rivals)].min(axis=1)
        return lead.assign(ratio=lead["rival"] / lead["native"])

    def _equal(self, lead: pd.DataFrame) -> float | None:
        if not self.has_break_even:
            return None
        columns = (lead[name].tolist() for name in ("native", "rival"))
        return break_even(lead.index.tolist(), *columns)

    def _remark(self, panel: str, part: pd.DataFrame) -> str:
        lead = self._lead(part)
        along = self.along.replace("_", " ")
        ratios = ", ".join(lead["ratio"].map(as_factor))
        positions = ", ".join(f"{position:.4g}" for position in lead.index)
        text = f"{self._rival()} / native: {ratios} at {along} {positions}"
        if (equal := self._equal(lead)) is not None:
            text += f"; equal at {equal:.2g}"
        elif self.has_break_even:
            always = "faster" if (lead["ratio"] > 1).all() else "slower"
            text += f"; native is {always} at all of them"
        return f"{panel}: {text}" if panel else text

    def _rival(self) -> str:
        if len(self.rivals) == 1:
            return self.rivals[0]
        return f"the fastest of {', '.join(self.rivals)}"

    def _subtitle(self, table: pd.DataFrame) -> list[str]:
        first = table.iloc[0]
        numbers = f"Median of {first.repetitions} with quartiles; on top: {self._rival()} / native"
        return [
            "; ".join(filter(None, (self.details, self.note))),
            numbers + ("; dashed: equal" if self.has_break_even else ""),
            f"{first.machine}; {_threads(table)}; torch {first.torch}, {first.kernels}",
        ]


def _unit_of_time(table: pd.DataFrame) -> tuple[str, float]:
    """The unit in which a table's times are short to write, and how many make a second."""
    slow = table["seconds"].median() >= SLOW
    return ("milliseconds", 1e3) if slow else ("microseconds", 1e6)


def _threads(table: pd.DataFrame) -> str:
    most = table["threads"].max()
    native = table.loc[table["contestant"] == NATIVE, "threads"].max()
    text = "1 thread" if most == 1 else f"{most} threads"
    return text if native == most else f"{text} (native: {native})"
