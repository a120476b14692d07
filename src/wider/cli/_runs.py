"""The command that says what a store holds, and what is trained there now."""

import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import wider
from wider.cli._tables import Columns
from wider.console import console
from wider.errors import InputError

if TYPE_CHECKING:
    from wider.runs import Listed, Store

KEY_LENGTH = 10  # characters that find a run's folder in a store


def runs(store: Path = Path("runs")) -> None:
    """What a store holds: what is trained there now, what was interrupted, diverged or is damaged.

    It changes nothing, and can be called while others train.

    Args:
        store: folder of the runs.
    """
    if not store.is_dir():
        raise InputError(f"there is no store {str(store)!r}: name one with --store")
    opened = wider.runs.Store(store)
    listed = wider.runs.listing(opened)
    headings = ("status", "run", "epochs", "key", "remark")
    shown = Columns(headings, expendable=("key",), texts=("status", "run", "key", "remark"))
    for row in _rows(listed):
        shown.add(row)
    shown.print()
    console().print(", ".join([_counted(listed), *_set_aside(opened)]))


def _rows(listed: Iterable["Listed"]) -> Iterable[tuple[str, ...]]:
    for status, runs in groupby(listed, key=lambda run: run.status):
        if status == "finished":
            yield from _nets(list(runs))
            continue
        for run in runs:
            asked = "" if run.asked is None else f" of {run.asked:,}"
            title = run.title or "not known"
            yield status, title, f"{_number(run.epochs)}{asked}", run.key[:KEY_LENGTH], _remark(run)


def _nets(finished: Sequence["Listed"]) -> Iterable[tuple[str, ...]]:
    """The seeds of each net in one row."""
    nets: dict[str, list[Listed]] = {}
    for run in finished:
        if run.spec is not None:
            nets.setdefault(run.spec.key_of_all_seeds, []).append(run)
    for runs in nets.values():
        first = runs[0]
        seeds = sorted(run.spec.seed for run in runs if run.spec)
        title = first.title.removesuffix(f" seed {first.spec.seed}" if first.spec else "")
        one = len(seeds) == 1
        word = "seed" if one else "seeds"
        key = first.key[:KEY_LENGTH] if one else ""
        yield "finished", title, _number(first.epochs), key, f"{word} {', '.join(map(str, seeds))}"


def _number(epochs: float) -> str:
    return f"{epochs:,.1f}".removesuffix(".0")


def _remark(run: "Listed") -> str:
    if run.status == "damaged":
        return run.reason
    if run.status == "running":
        left = run.seconds_left
        told = "not known yet" if left is None else f"about {wider.runs.duration(left)}"
        time_left = f"time left {told}" if left is None else f"{told} left"
        return time_left if run.claim is None else f"{time_left}; {run.claim.who}"
    if run.status == "abandoned":
        was = "" if run.claim is None else f"; {run.claim.who}, was killed"
        return f"the same command goes on{was}"
    return ""


def _set_aside(store: "Store") -> list[str]:
    aside = store.set_aside_runs()
    return [f"{len(aside):,} set aside in {aside[0].parent}"] if aside else []


def _counted(listed: Sequence["Listed"]) -> str:
    counts = {status: len(list(runs)) for status, runs in groupby(listed, lambda run: run.status)}
    made = time.strftime("%Y-%m-%d %H:%M")
    every = ", ".join(f"{count:,} {status}" for status, count in counts.items()) or "none"
    return f"{len(listed):,} runs at {made}: {every}"
