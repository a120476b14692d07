"""Kills of commands with worker processes: of the first process, of workers, of all."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from benchmarks.reliability._child import (
    BAD_INPUT,
    Child,
    Ended,
    check_graceful,
    start,
)
from benchmarks.reliability._kills import check_killed, wait_until_ready, was_done
from benchmarks.reliability._part import Case, Part, Tally, Wrong
from benchmarks.reliability._studies import (
    SWEEP,
    Study,
    check_store,
    finish,
    studied,
    sweep_file,
)

MARKER = "WIDER_RELIABILITY"  # an environment variable, by which descendants are found
RUNS = 20
MOST_KILLS = 4  # of one study
SECONDS_TO_DIE = 5.0
STARTING = 8.0  # seconds within which workers have started, on a machine that has little else to do
REAL = 0.15  # share of the commands that are processes of their own from the beginning
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


def prepare(folder: Path) -> Case:
    """A study of so many runs that several kills are worth it."""
    folder.mkdir()
    seeds = list(range(RUNS // 4))
    study = studied(folder, "sweep", sweep_file(folder, SWEEP.format(seeds=seeds)))

    def case(random: Random, tally: Tally, here: Path) -> None:
        store = here / "store"
        for kill in range(MOST_KILLS):
            target = random.choice(["the first process", "a worker", "all workers", "the group"])
            number, since = random.choice(SIGNALS), time.monotonic()
            command = _Command(study, store, f"{here}-{kill}", random.random() < REAL)
            killed = command.kill(target, number, _moment(store, random))
            with tally.trying(f"{number.name} to {target}", since):
                ended = command.end()
                command.check_alone()
                if killed:
                    _check(ended, target, number, study)
                check_store(store, study)
            if ended.code == study.code:
                break
        with tally.trying("goes on to the same end"):
            finish(study, store)

    return case


class _Command:
    """A sweep with two workers, in a session of its own."""

    def __init__(self, study: Study, store: Path, marker: str, real: bool) -> None:
        arguments = [*study.command(store), "--jobs", "2"]
        self.marker = f"{MARKER}={marker}".encode()
        self.store = store

        def before() -> None:
            os.environ[MARKER] = marker
            if real:
                os.execv(sys.executable, [sys.executable, "-m", "wider", *arguments])

        self.child: Child = start(arguments, before=before, session=True, room=False)
        wait_until_ready(self.child)
        if real:  # it has to import everything first, which may be interrupted anyhow
            self.child.watch(time.monotonic() + STARTING, self.has_workers)

    def has_workers(self) -> bool:
        """Whether it has started other processes."""
        return bool(self.workers())

    def workers(self) -> list[int]:
        """The processes that it started."""
        return self.alive()

    def alive(self) -> list[int]:
        """All processes of its session, or with its marker, but for the first."""
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and int(path.name) != self.child.pid:
                pid = int(path.name)
                if _is_alive(pid) and (self._is_of_session(pid) or self._has_marker(pid)):
                    found.append(pid)
        return found

    def kill(
        self, target: str, number: signal.Signals, moment: Callable[["_Command"], None]
    ) -> bool:
        """Sends a signal at a moment; returns whether there was someone to get it."""
        moment(self)
        if not self.child.is_running:
            return False
        if target == "the first process":
            self.child.signal(number)
            return True
        if target == "the group":
            os.killpg(self.child.pid, number)
            return True
        workers = self.workers()
        victims = workers if target == "all workers" else workers[:1]
        for pid in victims:
            _send(pid, number)
        return bool(victims)

    def end(self) -> Ended:
        """Waits for the first process."""
        return self.child.end()

    def check_alone(self) -> None:
        """Makes sure that no other process outlives the first one for long."""
        deadline = time.monotonic() + SECONDS_TO_DIE
        while (left := self.alive()) and time.monotonic() < deadline:
            time.sleep(0.05)
        told = {pid: _words(pid).replace(b"\0", b" ")[:200] for pid in left}
        for pid in left:
            _send(pid, signal.SIGKILL)
        if left:
            raise Wrong(f"still there after {SECONDS_TO_DIE:.0f} s: {told}")

    def _is_of_session(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self.child.pid
        except OSError:
            return False

    def _has_marker(self, pid: int) -> bool:
        return self.marker in _read(pid, "environ").split(b"\0")


def _moment(store: Path, random: Random) -> Callable[[_Command], None]:
    """While workers start, or while they train."""
    finished, pause = random.randint(1, RUNS), random.uniform(0, 0.3)
    since = time.monotonic() + random.uniform(0.05, STARTING)

    def starting(command: _Command) -> None:
        command.child.watch(since)

    def training(command: _Command) -> None:
        def enough() -> bool:
            return len(list(store.glob("*/result.json"))) >= finished

        command.child.watch(time.monotonic() + 60, enough)
        command.child.watch(time.monotonic() + pause)

    return starting if random.random() < 0.4 else training


def _check(ended: Ended, target: str, number: signal.Signals, study: Study) -> None:
    if target in ("the first process", "the group"):
        if ended.code != study.code and not was_done(ended, number):  # it may have been by then
            check_killed(ended, number)
    else:  # without a worker, a command may go on or end
        check_graceful(ended, study.code, BAD_INPUT, 130, 143)


def _words(pid: int) -> bytes:
    return _read(pid, "cmdline")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it is gone
        return b""


def _is_alive(pid: int) -> bool:
    state = _read(pid, "stat").rpartition(b")")[2].split()
    return bool(state) and state[0] not in (b"Z", b"X")


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


PART = Part("workers", tries=310, share=26, prepare=prepare, case_tries=3)
