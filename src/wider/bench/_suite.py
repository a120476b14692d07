"""What a benchmark is, how its peers are measured, and the table that comes out of it."""

import gc
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from wider import executors, native
from wider.drawing import Drawing
from wider.errors import InputError
from wider.runs import provenance

NATIVE, MASKED, DENSE = "native", "masked PyTorch", "dense PyTorch"
CHANNELS_LAST, CSR, SPARSEPROP = "dense channels last", "PyTorch CSR", "SparseProp"


@dataclass(frozen=True)
class Peer:
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
        peers: makes them; `NATIVE` is one. Nothing is built before its turn.
        units: how many of the suite's units a peer does in one call.
        counts: further columns, which take a moment to find and are found in its turn.
    """

    columns: Mapping[str, float | str]
    peers: Callable[[], Sequence[Peer]]
    units: int = 1
    counts: Callable[[], Mapping[str, float]] = dict


@dataclass(frozen=True, kw_only=True)
class Suite(ABC):
    """A benchmark. What is measured of a peer, and how it is shown, is the subclass's.

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
        """Measures the peers of a case: what was found, a row for each of them."""

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
    """Measures all peers in every case of a suite.

    Args:
        suite: what to measure.
        threads: that PyTorch, and native code where it has threads, may use.
        repetitions: calls of each peer that are timed.
        on_case: called before each case.

    Returns:
        A row per case and peer: the suite, the case's columns, the peer, `threads`
        that it used at most, what the suite's kind measures, and where and when that was.

    Raises:
        InputError: threads or repetitions below 1, or there is no native code here.
    """
    for name, value in (("threads", threads), ("repetitions", repetitions)):
        if value < 1:
            raise InputError(f"{name} is {value}; use at least 1")
    if not native.is_available():
        raise InputError(f"there is no native code to measure: {native.NO_KERNELS}")
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


def read_table(path: Path) -> pd.DataFrame:
    """A table that `wider bench` wrote, of today or of the time when peers had another name."""
    return pd.read_csv(path).rename(columns={"contestant": "peer"})


def measure(
    peers: Mapping[str, Callable[[], object]], *, repetitions: int
) -> dict[str, list[float]]:
    """Times each peer once in every repetition, so that drift of the machine meets them all.

    Args:
        peers: what to time, by name. Each is called once before any is timed: that call
            compiles, allocates and fills caches.
        repetitions: calls that are timed, of each.

    Returns:
        {name: seconds of each call}.
    """
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    with _without_garbage_collection():
        for run in peers.values():
            run()
        for _ in range(repetitions):
            for name, run in peers.items():
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
    return seconds


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Lets PyTorch compute on so many threads, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_fresh_process(run: Callable[[], dict[str, float]], threads: int) -> dict[str, float]:
    """What a call finds in a process of its own, on so many threads.

    For what can be measured only where nothing has happened yet.
    """
    # Two jobs, as one would be done in this process.
    (findings,) = executors.in_workers(partial(_on_threads, run), [threads], jobs=2)
    return findings


def _on_threads(run: Callable[[], dict[str, float]], threads: int) -> dict[str, float]:
    torch.set_num_threads(threads)
    return run()


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Collects now, then not again before the end, when all is as it was."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _provenance_columns() -> dict[str, str | None]:
    return {
        "machine": provenance.machine(torch.device("cpu")),
        "commit": provenance.commit(),
        **provenance.versions(),
        "kernels": native.compiled_kernels(),
        "measured": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
