"""Kills of one process, at random moments and at its operations on files."""

import os
import signal
import time
from pathlib import Path
from random import Random

from benchmarks.reliability._child import Child, Ended, check_graceful, start
from benchmarks.reliability._operations import at_operation
from benchmarks.reliability._part import Case, Part, Tally, Wrong
from benchmarks.reliability._studies import (
    BATCH_NORM,
    SWEEP,
    TRAIN,
    Study,
    check_store,
    finish,
    in_pauses,
    studied,
    sweep_file,
)

MOST_KILLS = 8  # of one study, before it is left in peace
STARTING = 0.02  # seconds in which a command has come to what it does when it is interrupted
SIGNALS = [signal.SIGKILL] * 3 + [signal.SIGTERM, signal.SIGINT]
EXIT_CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}


def prepare(folder: Path) -> Case:
    """Several studies, known from a time without kills."""
    folder.mkdir()
    seeds = SWEEP.format(seeds=[0, 1])
    studies = [
        studied(folder, "train", *TRAIN),
        studied(folder, "run", "demo", "--scale", "smoke"),
        studied(folder, "sweep", sweep_file(folder, seeds)),
        studied(folder, "sweep", sweep_file(folder, BATCH_NORM, "batch-norm.toml")),
    ]

    def case(random: Random, tally: Tally, here: Path) -> None:
        study, store = random.choice(studies), here / "store"
        for _ in range(MOST_KILLS):
            number = random.choice(SIGNALS)
            pause = random.choice([0.0, 0.0, 0.01, 20.0])
            at = random.choice(["a moment", "an operation"])
            kill = _at_a_moment if at == "a moment" else _at_an_operation
            since = time.monotonic()
            ended = kill(study, store, number, pause, random)
            if ended.code == study.code or was_done(ended, number):
                break
            with tally.trying(f"{number.name} at {at}", since):
                check_killed(ended, number)
                check_store(store, study)
        with tally.trying("goes on to the same end"):
            finish(study, store)

    return case


def was_done(ended: Ended, number: signal.Signals) -> bool:
    """Whether a command had printed its results, and only Python's own end was left."""
    return number != signal.SIGKILL and ended.code == -number and bool(ended.out)


def check_killed(ended: Ended, number: signal.Signals) -> None:
    """Makes sure that a command says in one line that it was interrupted."""
    if number != signal.SIGKILL:
        check_graceful(ended, EXIT_CODES[number])
    elif ended.code != EXIT_CODES[number] or "Traceback" in ended.err:
        raise Wrong(f"did not die of SIGKILL alone: {ended.told}")


def _at_a_moment(
    study: Study, store: Path, number: signal.Signals, pause: float, random: Random
) -> Ended:
    child = start(study.command(store), before=lambda: in_pauses(pause))
    wait_until_ready(child)
    child.watch(time.monotonic() + random.uniform(STARTING, study.seconds))
    child.signal(number)
    return child.end()


def _at_an_operation(
    study: Study, store: Path, number: signal.Signals, pause: float, random: Random
) -> Ended:
    nth = random.randint(1, study.operations)

    def act(seen: int, _: str) -> None:
        if seen == nth:
            os.kill(os.getpid(), number)

    def before() -> None:
        in_pauses(pause)
        at_operation(store, act)

    return start(study.command(store), before=before).end()


def wait_until_ready(child: Child) -> None:
    """Waits until a child has begun."""
    child.watch(time.monotonic() + 10, lambda: child.is_ready)


PART = Part("kills", tries=1100, share=12, prepare=prepare, case_tries=4)
