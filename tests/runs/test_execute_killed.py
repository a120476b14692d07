"""A kill at any moment leaves a finished run, a resumable one, or nothing."""

import os
import signal
import subprocess
import sys
import time

import pytest

from wider.runs import Store, execute

# Forks before anything is computed, so that each moment costs a tenth of a second. A child kills
# itself (SIGKILL: nothing is cleaned up) inside the nth call of a function that writes.
KILLED_AT_NTH_WRITE = """
import os, signal, stat, sys
from pathlib import Path
import pyarrow.parquet
import torch._dynamo  # an optimiser imports it
torch.set_num_threads(1)  # a forked child would wait for its parent's other threads for ever
from wider.data import load
from wider.runs import RunSpec, Store, execute, provenance
folder, spec = Path(sys.argv[1]), RunSpec.model_validate_json(sys.argv[2])
load("digits"), provenance.commit()  # slow the first time, so not once in each child

def kill_in(name, nth, before):
    calls, real = [], getattr(os, name)

    def patched(*arguments):
        if name == "fsync" and not stat.S_ISREG(os.fstat(arguments[0]).st_mode):
            return real(*arguments)  # a folder: its files have their names
        calls.append(name)
        if len(calls) == nth and before:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments)
        if len(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, name, patched)

for moment in sys.argv[3:]:
    name, nth, side = moment.split()
    child = os.fork()
    if child == 0:
        store = Store(folder / moment)
        store.ensure_writable()
        kill_in(name, int(nth), side == "before")
        execute(spec, store, checkpoint_seconds=0)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

# Says what it is about to do, then trains until someone kills it.
VICTIM = """
import sys
from pathlib import Path
from wider.runs import RunSpec, Store, execute
spec, store = RunSpec.model_validate_json(sys.argv[2]), Store(Path(sys.argv[1]))
execute(spec, store, checkpoint_seconds=float(sys.argv[3]),
        on_epoch=lambda row: print(row.epoch, flush=True))
"""

# Three epochs: spec and checkpoint before and after the evaluation of the first two, and before the
# third one's; then spec, history, model and result.
# An fsync before: the temporary file is there, perhaps not all of it. A rename after: the file has
# its name, and what should follow does not.
MOMENTS = [f"fsync {nth} before" for nth in range(1, 15)]
MOMENTS += [f"replace {nth} after" for nth in range(1, 15)]


# Of a run that may write after each of its five steps an epoch, and after its epochs: spec and
# checkpoint after a step, after the last one, and in the second epoch. Then what they keep.
WITHIN = {"replace 4 after": (0, 100), "replace 10 after": (0, 230), "replace 14 after": (1, 50)}


def kill_at(moments, spec, folder):
    """Fills a folder with stores, one for each moment."""
    command = [sys.executable, "-c", KILLED_AT_NTH_WRITE, str(folder), spec.model_dump_json()]
    done = subprocess.run([*command, *moments], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(moments)
    return folder


@pytest.fixture(scope="module")
def killed(spec, tmp_path_factory):
    return kill_at(MOMENTS, spec, tmp_path_factory.mktemp("killed"))


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_in_the_nth_write(killed, spec, finished, numbers, moment):
    store = Store(killed / moment)
    name, nth, _ = moment.split()
    written = int(nth) - (name == "fsync")  # whole files
    if written == 14:
        assert [run.spec for run in store.runs(pytest.fail)] == [spec]
        expected = []
    else:
        assert store.read(spec) is None
        assert store.runs(pytest.fail) == []
        kept = min(written // 4, 2)
        assert int(store.epochs_done(spec)) == kept
        expected = [1, 2, 3][kept:]
    rows = []
    run = execute(spec, store, on_damage=pytest.fail, on_epoch=rows.append)
    assert [row.epoch for row in rows] == expected
    assert numbers(store, run) == numbers(*finished)
    assert store.runs(pytest.fail) == [run]


def test_killed_within_an_epoch(by_steps, tmp_path, numbers, visited):
    kill_at(WITHIN, by_steps, tmp_path)
    whole = Store(tmp_path / "whole")
    expected = numbers(whole, execute(by_steps, whole))
    for moment, (epochs, images) in WITHIN.items():
        store = Store(tmp_path / moment)
        visited.clear()
        run = execute(by_steps, store, on_damage=pytest.fail)
        assert sum(visited) == (3 - epochs) * 230 - images
        assert numbers(store, run) == expected


@pytest.mark.parametrize(
    ("checkpoint_seconds", "epochs"), [(1e9, 3), (0, 5)], ids=["before a checkpoint", "after some"]
)
def test_killed_from_outside(tmp_path, make_spec, numbers, checkpoint_seconds, epochs):
    spec = make_spec(epochs=200, momentum=0.9)
    store = Store(tmp_path / "killed")
    command = [sys.executable, "-c", VICTIM, str(store.path), spec.model_dump_json()]
    with subprocess.Popen(
        [*command, str(checkpoint_seconds)], stdout=subprocess.PIPE, text=True
    ) as victim:
        try:
            assert victim.stdout is not None
            for line in victim.stdout:
                if int(line) >= epochs:
                    break
            wait_for(lambda: checkpoint_seconds or store.epochs_done(spec) >= epochs)
        finally:
            os.kill(victim.pid, signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
    kept = int(store.epochs_done(spec))
    assert kept == 0 if checkpoint_seconds else epochs <= kept < 200
    rows = []
    run = execute(spec, store, on_damage=pytest.fail, on_epoch=rows.append)
    assert [row.epoch for row in rows] == list(range(kept + 1, 201))
    whole = Store(tmp_path / "whole")
    assert numbers(store, run) == numbers(whole, execute(spec, whole))


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
