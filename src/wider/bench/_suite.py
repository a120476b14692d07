"""What a benchmark is, and the table that comes out of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import torch

from wider.bench._measure import torch_threads
from wider.drawing import Drawing
from wider.errors import InputError
from wider.native import NO_KERNELS, compiled_kernels, is_available
from wider.runs import provenance

NATIVE, MASKED, DENSE = "native", "masked PyTorch", "dense PyTorch"
CHANNELS_LAST, CSR, SPARSEPROP = "dense channels last", "PyTorch CSR", "SparseProp"


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: `NATIVE` or another of the names beside it.
        run: does it once; what it returns is the kind of suite's business.
        max_threads: the most that it can use; None for as many as are asked for.
    """

    name: str
    run: Callable[[], Any]
    max_threads: int | None = None

    def threads(self, asked: int) -> int:
        """The most that it uses where so many may be used."""
        return min(asked, self.max_threads or asked)


@dataclass(frozen=True)
class Case:
    """One point of a suite.

    Attributes:
        columns: what sets it apart from the other cases.
        contestants: makes them; `NATIVE` is one. Nothing is built before its turn.
        units: how many of the suite's units a contestant does in one call.
        counts: further columns, which take a moment to find and are found in its turn.
    """

    columns: Mapping[str, float | str]
    contestants: Callable[[], Sequence[Contestant]]
    units: int = 1
    counts: Callable[[], Mapping[str, float]] = dict


@dataclass(frozen=True, kw_only=True)
class Suite(ABC):
    """A benchmark. What is measured of a contestant, and how it is shown, is the subclass's.

    Attributes:
        name: such as "mlp-step".
        title: what is measured, in a line.
        details: sizes and data, for the line below the title.
        along: the case's column along which the chart runs.
        cases: in order.
    """

    name: str
    title: str
    details: str
    along: str
    cases: Sequence[Case]

    @abstractmethod
    def rows(self, case: Case, *, threads: int, repetitions: int) -> list[dict[str, Any]]:
        """Measures the contestants of a case: what was found, a row for each of them."""

    @abstractmethod
    def cells(self, table: pd.DataFrame) -> pd.DataFrame:
        """The part of a table that is worth printing, beside the case's columns, as text."""

    @abstractmethod
    def caption(self, table: pd.DataFrame) -> str:
        """What the cells are, in a line."""

    @abstractmethod
    def draw(self, table: pd.DataFrame) -> Drawing:
        """The table as a chart."""

    def remarks(self, table: pd.DataFrame) -> list[str]:  # noqa: ARG002 - for subclasses
        """What the table says, in a line each."""
        return []


def run_suite(
    suite: Suite,
    *,
    threads: int,
    repetitions: int,
    on_case: Callable[[Case], None] = lambda _: None,
) -> pd.DataFrame:
    """Measures all contestants in every case of a suite.

    Args:
        suite: what to measure.
        threads: that PyTorch, and native code where it has threads, may use.
        repetitions: calls of each contestant that are timed.
        on_case: called before each case.

    Returns:
        A row per case and contestant: the suite, the case's columns, the contestant, `threads`
        that it used at most, what the suite's kind measures, and where and when that was.

    Raises:
        InputError: threads or repetitions below 1, or there is no native code here.
    """
    for name, value in (("threads", threads), ("repetitions", repetitions)):
        if value < 1:
            raise InputError(f"{name} is {value}; use at least 1")
    if not is_available():
        raise InputError(f"there is no native code to measure: {NO_KERNELS}")
    rows = []
    with torch_threads(threads):
        for case in suite.cases:
            on_case(case)
            columns = {**case.columns, **case.counts()}
            for row in suite.rows(case, threads=threads, repetitions=repetitions):
                rows.append({**columns, **row})
    table = pd.DataFrame(rows)
    table.insert(0, "suite", suite.name)
    return table.assign(**_provenance_columns())


def _provenance_columns() -> dict[str, str | None]:
    return {
        "machine": provenance.machine(torch.device("cpu")),
        "commit": provenance.commit(),
        **provenance.versions(),
        "kernels": compiled_kernels(),
        "measured": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
