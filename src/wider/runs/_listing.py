"""What a store holds, finished or not."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from wider.runs import _run_files as run_files
from wider.runs._claims import Claim
from wider.runs._run_files import DamagedRun, Run
from wider.runs._spec import RunSpec
from wider.runs._store import Store

Status = Literal["running", "abandoned", "damaged", "diverged", "finished"]


@dataclass(frozen=True)
class Listed:
    """One run of a store.

    Attributes:
        key: of its spec.
        status: "running" while a process has it; "abandoned" where one was interrupted, and the
            same command goes on; "damaged" where files are torn, edited or missing, and the same
            command trains it again.
        title: of its spec, as far as it is known.
        spec: None where it is not known.
        epochs: that are behind it.
        asked: epochs that it is to be trained for; None where it is not known.
        claim: of the process that trains it, or was training it when it was killed.
        reason: what is damaged, of the files in its folder.
    """

    key: str
    status: Status
    title: str
    spec: RunSpec | None = None
    epochs: float = 0
    asked: int | None = None
    claim: Claim | None = None
    reason: str = ""

    @property
    def seconds_left(self) -> float | None:
        """About how long a running one takes; None before anything is known."""
        if self.status != "running" or self.claim is None:
            return None
        return self.claim.seconds_left(self.epochs)


def listing(store: Store) -> list[Listed]:
    """All runs of a store: those that are trained now first, the finished ones last.

    Nothing but the store's cache is written, so it can be called while others train.
    """
    finished, damaged = store.survey(store.keys())
    listed = [_finished(run) for run in finished.values()]
    listed += [_stranger(path) for path in store.strangers()]
    for key in {*store.keys(), *store.keys_of_claims()} - finished.keys():
        found = _unfinished(key, store, damaged.get(key, ""))
        listed += [] if found is None else [found]
    order = get_args(Status)
    return sorted(listed, key=lambda run: (order.index(run.status), _natural(run.title), run.key))


def _natural(title: str) -> list[tuple[str, int]]:
    """By which width 8 stands before width 64."""
    parts = re.findall(r"(\D*)(\d*)", title)
    return [(words, int(number or 0)) for words, number in parts]


def _finished(run: Run) -> Listed:
    spec, result = run.spec, run.result
    status: Status = "diverged" if result.status == "diverged" else "finished"
    return Listed(spec.key, status, spec.title, spec, result.epochs, spec.recipe.num_rounds)


def _stranger(path: Path) -> Listed:
    return Listed(path.name, "damaged", "", reason="it holds a run and is not named after it")


def _unfinished(key: str, store: Store, reason: str) -> Listed | None:
    """None where there is a folder and nothing in it."""
    folder = store.path / key
    claim, spec = store.claim(key), run_files.read_spec(folder, key)
    epochs = run_files.epochs_in_checkpoint(folder)
    is_running = store.is_claimed(key)
    if not is_running and not reason:
        try:
            checkpoint = run_files.read_checkpoint(folder, key)
        except (DamagedRun, OSError) as damage:
            reason = str(damage)
        else:
            if checkpoint is None and claim is None:
                return None
    return Listed(
        key=key,
        status="damaged" if reason else "running" if is_running else "abandoned",
        title=spec.title if spec else claim.title if claim else "",
        spec=spec,
        epochs=epochs,
        asked=spec.recipe.num_rounds if spec else claim.epochs if claim else None,
        claim=claim,
        reason=reason.replace(f"{folder}{os.sep}", ""),
    )
