"""How far many runs are, on a terminal or in a log."""

import threading
import time
from collections.abc import Mapping
from typing import Self

from rich import progress as rich_progress
from rich.console import Console

from wider.runs._run_files import Run
from wider.runs._spec import RunSpec
from wider.runs._store import Store
from wider.text import shown

POLL_SECONDS = 2.0


class Progress:
    """A bar with the time left on a terminal; one line per finished run elsewhere.

    What unfinished runs have done is read from their checkpoints in the store, so it needs no
    channel to the workers, wherever they are; of machines that do not see the store, nothing is
    known before a run is finished.

    Args:
        costs: {run: estimated seconds}, for the time left.
        store: where the runs are kept.
        console: where to write.
        present: how many runs were there before.
    """

    def __init__(
        self, costs: Mapping[RunSpec, float], store: Store, *, console: Console, present: int
    ) -> None:
        self._pending = {spec.key: (spec, cost) for spec, cost in costs.items()}
        self._total = sum(costs.values())
        self._num_runs = len(costs)
        self._present = present
        self._store = store
        self._console = console
        self._start = time.monotonic()
        # Work that an interrupted call left in checkpoints must not make this one look fast.
        self._done_before = self._done()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.TaskProgressColumn(),
            rich_progress.TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=self._total, left="")

    def __enter__(self) -> Self:
        self.say(f"{self._num_runs} runs to train, {self._present} in the store already")
        self._update()
        self._bar.start()
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()
        self._update()
        self._bar.stop()

    def say(self, message: str) -> None:
        """Writes one line."""
        self._console.print(shown(message), highlight=False, markup=False, soft_wrap=True)

    def finish(self, run: Run) -> None:
        """Counts a run as done and writes one line about it."""
        self._pending.pop(run.spec.key, None)
        done = self._num_runs - len(self._pending)
        result = run.result
        of = "images" if result.task.input == "images" else "examples"
        outcome = f"{result.told(result.final, digits=1)} on test {of}"
        if result.status == "diverged":
            outcome = f"diverged in epoch {result.epochs}"
        left = "" if self._console.is_terminal else f"; {self._time_left()}"
        self.say(
            f"{done}/{self._num_runs}  {run.spec.title}: {outcome}, {result.seconds:.0f} s{left}"
        )
        self._update()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._update()

    def _update(self) -> None:
        done = self._num_runs - len(self._pending)
        self._bar.update(
            self._task,
            completed=self._done(),
            description=f"{done}/{self._num_runs} runs",
            left=self._time_left(),
        )

    def _done(self) -> float:
        """Estimated seconds of work that are behind us."""
        pending = list(self._pending.values())  # a copy: `finish` runs on another thread
        return self._total - sum(
            cost * (1 - self._store.epochs_done(spec) / spec.recipe.num_rounds)
            for spec, cost in pending
        )

    def _time_left(self) -> str:
        done, elapsed = self._done(), time.monotonic() - self._start
        if done <= self._done_before:
            return "time left: not known yet"
        left = (self._total - done) * elapsed / (done - self._done_before)
        return f"about {duration(left)} left"


def duration(seconds: float) -> str:
    """A time that is left, in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
