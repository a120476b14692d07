"""Several commands that run one study on one store at the same time, some of which are killed."""

import os
import signal
import time
from collections import Counter
from pathlib import Path
from random import Random

from benchmarks.reliability._child import Child, check_graceful, start
from benchmarks.reliability._kills import check_killed, wait_until_ready
from benchmarks.reliability._part import Case, Part, Tally, Wrong
from benchmarks.reliability._studies import (
    SWEEP,
    Study,
    check_store,
    finish,
    in_pauses,
    studied,
    sweep_file,
)
from torch import nn

from wider.runs import Run, Store

COMMANDS = 4


def prepare(folder: Path) -> Case:
    """A study of several runs."""
    folder.mkdir()
    study = studied(folder, "sweep", sweep_file(folder, SWEEP.format(seeds=[0, 1])))

    def case(random: Random, tally: Tally, here: Path) -> None:
        store, log = here / "store", here / "written"
        log.touch()
        pause = random.choice([0.0, 20.0])
        children = []
        for _ in range(COMMANDS):
            children.append(_started(study, store, log, pause))
            children[-1].watch(time.monotonic() + random.choice([0.0, 0.3]) * random.random())
        victims = random.sample(children, random.randint(0, COMMANDS - 1))
        kills = "some killed" if victims else "none killed"
        with tally.trying(f"{COMMANDS} at a time, {kills}"):
            _kill(victims, study, random)
            for child in children:
                ended = child.end()
                if child not in victims:
                    check_graceful(ended, study.code)
                elif ended.code != study.code:
                    check_killed(ended, signal.SIGKILL)
            check_store(store, study, finished=True)
            again = {key: n for key, n in Counter(log.read_text().split()).items() if n > 1}
            if again:
                raise Wrong(f"trained more than once: {again}")
        with tally.trying("nothing is left to do"):
            ended = finish(study, store)
            if "to train" in ended.err:
                raise Wrong(f"something is trained again: {ended.told}")

    return case


def _started(study: Study, store: Path, log: Path, pause: float) -> Child:
    def before() -> None:
        in_pauses(pause)
        write = Store.write

        def noting(self: Store, run: Run, model: nn.Module) -> None:
            write(self, run, model)
            line = os.open(log, os.O_WRONLY | os.O_APPEND)
            os.write(line, f"{run.spec.key}\n".encode())
            os.close(line)

        Store.write = noting

    child = start(study.command(store), before=before)
    wait_until_ready(child)
    return child


def _kill(victims: list[Child], study: Study, random: Random) -> None:
    for victim in victims:
        victim.watch(time.monotonic() + random.uniform(0, study.seconds))
        victim.signal(signal.SIGKILL)


PART = Part("together", tries=120, share=5, prepare=prepare, case_tries=2)
