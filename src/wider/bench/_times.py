"""Suites that time their peers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from wider.bench import _chart
from wider.bench._chart import as_factor
from wider.bench._suite import NATIVE, Case, Suite, measure
from wider.drawing import Drawing

SLOW = 0.005  # seconds; from there on milliseconds are easier to read than microseconds
SECONDS = ["seconds", "seconds_lower", "seconds_upper"]


@dataclass(frozen=True, kw_only=True)
class TimeSuite(Suite):
    """Peers against the clock, in turn in one process.

    A row of its table has `repetitions`, the median `seconds` of one unit with their quartiles
    `seconds_lower` and `seconds_upper`, and `ratio` of the median to the native one.

    Attributes:
        unit: what the time is of: "step".
        rivals: peers, the fastest of which native is compared with.
        panel: the case's column of the layers' shapes, that has a panel of the chart for each of
            its values.
        note: what a reader should know about the peers, for the chart.
        has_break_even: whether to say where native and the fastest rival take equally long.
    """

    unit: str
    rivals: Sequence[str]
    panel: str | None = None
    note: str = ""
    has_break_even: bool = False

    def rows(self, case: Case, *, threads: int, repetitions: int) -> list[dict[str, Any]]:
        """Measures the peers of a case: what was found, a row for each of them."""
        peers = case.peers()
        runs = {peer.name: peer.run for peer in peers}
        quartiles = {
            name: np.quantile(np.array(times) / case.units, (0.25, 0.5, 0.75))
            for name, times in measure(runs, repetitions=repetitions).items()
        }
        rows = []
        for peer in peers:
            lower, median, upper = quartiles[peer.name]
            row = {
                "peer": peer.name,
                "threads": peer.threads(threads),
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
                "peer": table["peer"],
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
        """How far native is ahead of the fastest rival, and where they are equal.

        For each shape and, in a table of several devices, each of these.
        """
        return [self._remark(name, part) for name, part in self._curves(table)]

    def draw(self, table: pd.DataFrame) -> Drawing:
        """Median times with their quartiles, both axes logarithmic."""
        name, scale = _unit_of_time(table)
        panels = []
        for title, part in self._curves(table):
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

    def _curves(self, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """What has a break-even of its own, with its name: a shape on a device."""
        columns = [] if self.panel is None else [self.panel]
        if table["machine"].nunique() > 1:
            columns.append("machine")
        if not columns:
            yield "", table
            return
        for names, part in table.groupby(columns, sort=False):
            yield ", ".join(map(str, names)), part

    def _lead(self, part: pd.DataFrame) -> pd.DataFrame:
        """Seconds of native and of the fastest rival along the chart, and their ratio."""
        seconds = part.pivot_table(index=self.along, columns="peer", values="seconds")
        lead = pd.DataFrame({"native": seconds[NATIVE]})
        lead["rival"] = seconds[list(self.rivals)].min(axis=1)
        return lead.assign(ratio=lead["rival"] / lead["native"])

    def _equal(self, lead: pd.DataFrame) -> float | None:
        if not self.has_break_even:
            return None
        columns = (lead[name].tolist() for name in ("native", "rival"))
        return break_even(lead.index.tolist(), *columns)

    def _remark(self, name: str, part: pd.DataFrame) -> str:
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
        return f"{name}: {text}" if name else text

    def _rival(self) -> str:
        if len(self.rivals) == 1:
            return self.rivals[0]
        return f"the fastest of {', '.join(self.rivals)}"

    def _subtitle(self, table: pd.DataFrame) -> list[str]:
        first, machines = table.iloc[0], " and ".join(table["machine"].unique())
        numbers = f"Median of {first.repetitions} with quartiles; on top: {self._rival()} / native"
        return [
            "; ".join(filter(None, (self.details, self.note))),
            numbers + ("; dashed: equal" if self.has_break_even else ""),
            f"{machines}; {_threads(table)}; torch {first.torch}, {first.kernels}",
        ]


def _unit_of_time(table: pd.DataFrame) -> tuple[str, float]:
    """The unit in which a table's times are short to write, and how many make a second."""
    slow = table["seconds"].median() >= SLOW
    return ("milliseconds", 1e3) if slow else ("microseconds", 1e6)


def _threads(table: pd.DataFrame) -> str:
    most = table["threads"].max()
    native = table.loc[table["peer"] == NATIVE, "threads"].max()
    text = "1 thread" if most == 1 else f"{most} threads"
    return text if native == most else f"{text} (native: {native})"


def break_even(
    positions: Sequence[float], seconds: Sequence[float], rival: Sequence[float]
) -> float | None:
    """The first position at which both take as long, on straight lines between logarithms.

    Args:
        positions: at which both were measured, ascending and above zero.
        seconds: that one takes at each.
        rival: seconds that the other takes at each.

    Returns:
        The position; None where one of them is faster at all of the positions.
    """
    x = np.log(np.asarray(positions, dtype=float))
    lead = np.log(np.asarray(rival, dtype=float) / np.asarray(seconds, dtype=float))
    for left in range(len(x) - 1):
        right = left + 1
        if lead[left] * lead[right] < 0 or lead[right] == 0 != lead[left]:
            share = lead[left] / (lead[left] - lead[right])
            return float(np.exp(x[left] + share * (x[right] - x[left])))
    return None
