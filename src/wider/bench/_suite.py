"""What a benchmark is, and the table that comes out of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch

from wider.bench._measure import measure, torch_threads
from wider.errors import InputError
from wider.native import is_available
from wider.runs import provenance

NATIVE, MASKED, DENSE = "native", "masked PyTorch", "dense PyTorch"
CONTESTANTS = (NATIVE, MASKED, DENSE)


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: one of `CONTESTANTS`.
        run: does it once.
        max_threads: the most that it can use; None for as many as are asked for.
    """

    name: str
    run: Callable[[], object]
    max_threads: int | None = None


@dataclass(frozen=True)
class Case:
    """One point of a suite.

    Attributes:
        columns: what sets it apart from the other cases.
        units: how many of the suite's units a contestant does in one call.
        contestants: makes them; `NATIVE` is one. Nothing is built before its turn.
    """

    columns: Mapping[str, float]
    units: int
    contestants: Callable[[], Sequence[Contestant]]


@dataclass(frozen=True)
class Suite:
    """A benchmark.

    Attributes:
        name: such as "mlp-step".
        title: what is measured, in a line.
        details: sizes and data, for the line below the title.
        unit: what the time is of: "step".
        along: the case's column along which the chart runs.
        cases: in order.
    """

    name: str
    title: str
    details: str
    unit: str
    along: str
    cases: Sequence[Case]


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
        that it used at most, `repetitions`, median `seconds` of one unit with their quartiles
        `seconds_lower` and `seconds_upper`, `ratio` of the median to the native one, and where and
        when that was.

    Raises:
        InputError: threads or repetitions below 1, or there is no native code here.
    """
    for name, value in (("threads", threads), ("repetitions", repetitions)):
        if value < 1:
            raise InputError(f"{name} is {value}; use at least 1")
    if not is_available():
        raise InputError("there is no native code to measure without Numba: pip install numba")
    rows = []
    with torch_threads(threads):
        for case in suite.cases:
            on_case(case)
            rows += _rows(case, threads, repetitions)
    table = pd.DataFrame(rows)
    table.insert(0, "suite", suite.name)
    return table.assign(**_provenance_columns())


def _rows(case: Case, threads: int, repetitions: int) -> list[dict]:
    contestants = case.contestants()
    runs = {contestant.name: contestant.run for contestant in contestants}
    seconds = {
        name: np.array(times) / case.units
        for name, times in measure(runs, repetitions=repetitions).items()
    }
    native = np.median(seconds[NATIVE])
    rows = []
    for contestant in contestants:
        lower, median, upper = np.quantile(seconds[contestant.name], (0.25, 0.5, 0.75))
        row = {
            **case.columns,
            "contestant": contestant.name,
            "threads": min(threads, contestant.max_threads or threads),
            "repetitions": repetitions,
            "seconds": median,
            "seconds_lower": lower,
            "seconds_upper": upper,
            "ratio": median / native,
        }
        rows.append(row)
    return rows


def _provenance_columns() -> dict[str, str | None]:
    return {
        "machine": provenance.machine(torch.device("cpu")),
        "commit": provenance.commit(),
        **provenance.versions(),
        "numba": version("numba"),
        "measured": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
