"""Small studies, what comes out of them when nobody interferes, and whether a store holds that."""

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability import _child
from benchmarks.reliability._child import DIVERGED, DONE, Ended, ask, call
from benchmarks.reliability._operations import at_operation
from benchmarks.reliability._part import Wrong

from wider.files import PARTIAL
from wider.runs import DamagedRun, Run, RunSpec, Store, execute
from wider.runs._run_files import CHECKPOINT, HISTORY, MODEL, RESULT, SPEC

MEASURED = {"seconds", "peak_memory", "provenance"}  # what two executions need not have in common
FINAL_NAMES = {SPEC, HISTORY, MODEL, RESULT, CHECKPOINT}

TRAIN = [
    *("--data.dataset", "digits", "--data.num-train", "230", "--data.num-validation", "60"),
    *("--widening.base-width", "2", "--widening.width", "6", "--recipe.momentum", "0.9"),
    *("--recipe.epochs", "4", "--recipe.batch-size", "50"),
]

# Some of it diverges, and of several seeds.
SWEEP = """
title = "Tiny"
[data]
dataset = "digits"
num_train = 230
num_validation = 60
[widening]
base_width = 2
[recipe]
epochs = 3
batch_size = 50
[grid]
seed = {seeds}
widening.width = [2, 6]
recipe.learning_rate = [0.2, 1e30]
"""

# What PyTorch trains, with all that a checkpoint can hold.
BATCH_NORM = """
title = "Tiny, in PyTorch"
seed = 3
[data]
dataset = "digits"
num_train = 230
[model]
batch_norm = true
[widening]
base_width = 2
[recipe]
epochs = 3
batch_size = 50
momentum = 0.9
weight_decay = 0.001
augmentation = "crop"
schedule = "cosine"
[grid]
widening.width = [2, 6]
"""

Numbers = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Study:
    """A command that trains, and what it is known to do.

    Attributes:
        arguments: of wider, but for the store.
        code: its exit code.
        numbers: of its runs, by key.
        seconds: that it takes when nothing is there.
        operations: on the files of its store.
    """

    arguments: tuple[str, ...]
    code: int
    numbers: Numbers
    seconds: float
    operations: int

    def command(self, store: Path) -> list[str]:
        """All arguments."""
        return [*self.arguments, "--store", str(store)]


def studied(folder: Path, *arguments: str) -> Study:
    """Runs a command in peace."""
    store = folder / "in-peace"
    count = folder / "operations"

    def before() -> None:
        file = count.open("wb", buffering=0)

        def act(_: int, __: str) -> None:
            file.write(b".")

        at_operation(store, act)

    start = time.monotonic()
    ended = call([*arguments, "--store", store], before=before)
    seconds = time.monotonic() - start
    if ended.code not in (DONE, DIVERGED):
        raise RuntimeError(f"{arguments} in peace: {ended.told}")
    numbers = examined(store)
    operations = count.stat().st_size
    store.rename(folder / f"in-peace-{hashlib.sha256(repr(arguments).encode()).hexdigest()[:8]}")
    return Study(arguments, ended.code, numbers, seconds, operations)


def sweep_file(folder: Path, text: str, name: str = "study.toml") -> str:
    """Writes a study to a file and returns its path."""
    path = folder / name
    path.write_text(text)
    return str(path)


def in_pauses(seconds: float) -> None:
    """Makes runs write a checkpoint after that many seconds; for a forked child."""
    assert execute.__kwdefaults__ is not None
    execute.__kwdefaults__["checkpoint_seconds"] = seconds


def examined(store: Path) -> Numbers:
    """The numbers of a store's finished runs.

    Raises:
        Wrong: something in the store is damaged, or has a final name and is not whole.
    """
    found = ask(lambda: _examine(store))
    if found["problems"]:
        raise Wrong("; ".join(found["problems"]))
    return found["numbers"]


def check_store(store: Path, study: Study, *, finished: bool = False) -> int:
    """Makes sure that a store holds nothing but right numbers; returns of how many runs.

    Args:
        store: which may not be there yet.
        study: which was run on it.
        finished: whether nothing may be missing.
    """
    numbers = examined(store) if store.exists() else {}
    for key, found in numbers.items():
        if key not in study.numbers:
            raise Wrong(f"a run {key} that nobody asked for")
        for part, expected in study.numbers[key].items():
            if found[part] != expected:
                raise Wrong(f"{part} of {key} is {found[part]}, not {expected}")
    if finished:
        if missing := sorted(set(study.numbers) - set(numbers)):
            raise Wrong(f"lost: {missing}")
        if left := sorted(map(str, store.rglob(f"*{PARTIAL}"))):
            raise Wrong(f"left behind: {left}")
    return len(numbers)


def finish(study: Study, store: Path) -> Ended:
    """Runs a study's command undisturbed and makes sure that all numbers are right."""
    ended = call(study.command(store))
    _child.check_graceful(ended, study.code)
    check_store(store, study, finished=True)
    return ended


def _examine(path: Path) -> dict[str, Any]:
    problems: list[str] = []
    store = Store(path)
    for folder in path.iterdir():
        if folder.is_dir() and len(folder.name) == 64:
            problems += _of_folder(store, folder)
    numbers = {run.spec.key: _numbers(store, run) for run in store.runs(problems.append)}
    return {"numbers": numbers, "problems": problems}


def _of_folder(store: Store, folder: Path) -> Iterable[str]:
    names = {path.name for path in folder.iterdir() if not path.name.endswith(PARTIAL)}
    if unknown := names - FINAL_NAMES:
        yield f"{folder} holds {sorted(unknown)}"
    if SPEC not in names:
        if names:
            yield f"{folder} has no {SPEC}, but {sorted(names)}"
        return
    try:
        spec = RunSpec.model_validate_json((folder / SPEC).read_bytes())
        if RESULT not in names:  # or nobody reads it
            store.read_checkpoint(spec)
    except (ValueError, DamagedRun) as error:
        yield f"{folder}: {error}"
        return
    if spec.key != folder.name:
        yield f"{folder} describes {spec.key}"


def _numbers(store: Store, run: Run) -> dict[str, Any]:
    history = [row._asdict() | {"seconds": 0} for row in run.history]
    model = (store.folder(run.spec) / MODEL).read_bytes()
    return {
        # As text, since not-a-number is no number's equal.
        "history": json.dumps(history),
        "result": json.dumps(run.result.model_dump(mode="json", exclude=MEASURED)),
        "model": hashlib.sha256(model).hexdigest(),
    }
