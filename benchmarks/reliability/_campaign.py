"""All parts, as many at a time as there are cores, and the table of what they found."""

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pandas as pd
import torch
from benchmarks.reliability import (
    _datasets,
    _full,
    _fuzz,
    _hostile,
    _kills,
    _mutations,
    _together,
    _workers,
)
from benchmarks.reliability._child import Child, die_with_parent
from benchmarks.reliability._part import ITSELF, Bounds, Count, Part, Tally, run_part, say

from wider.data import load
from wider.report import javascript
from wider.runs import provenance

PARTS = {
    part.name: part
    for part in (
        _kills.PART,
        _workers.PART,
        _together.PART,
        _full.PART,
        _mutations.PART,
        _fuzz.PART,
        _datasets.PART,
        _hostile.PART,
    )
}


def campaign(arguments: Sequence[str] | None = None) -> int:
    """Runs the campaign; returns its exit code, 1 where something failed."""
    asked = _parser().parse_args(arguments)
    if asked.case is not None and len(asked.only) != 1:
        raise SystemExit("--case is the number of a case of one part: name that with --only")
    parts = [PARTS[name] for name in asked.only or PARTS]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it tidies up
    folder = Path(tempfile.mkdtemp(prefix="wider-reliability-"))
    os.environ["WIDER_CACHE_DIR"] = str(folder / "cache")
    try:
        _warm_up()
        found = _all(parts, asked, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = _table(found, asked.seed)
    if asked.output is not None:
        _write(table, asked.output)
    say(table[["part", "kind", "tried", "failed", "seconds"]].to_string(index=False))
    return int(bool(table["failed"].sum()) or not table["tried"].sum())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--minutes", type=float, default=95, help="bound on the time of all")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[], help="these parts alone")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    parser.add_argument("--cases", type=int, help="so many cases of each part")
    parser.add_argument("--case", type=int, help="one case of one part, to repeat it")
    parser.add_argument("--output", type=Path, help="the table; rows of other parts stay in it")
    return parser


def _warm_up() -> None:
    """What is slow the first time, so that no child has to wait for it."""
    torch.set_num_threads(1)  # a forked child would wait for its parent's other threads for ever
    for slow in ("pyarrow.parquet", "torch._dynamo"):  # an optimiser imports the latter
        importlib.import_module(slow)
    load("digits")
    provenance.commit()
    # In a child, since what puts the JavaScript of pages together starts threads.
    ended = Child(lambda: len(javascript()) == 0, room=False).end()
    if ended.code != 0:
        raise RuntimeError(f"no JavaScript for pages: {ended.told}")


def _all(parts: Sequence[Part], asked: argparse.Namespace, folder: Path) -> list[Tally]:
    """Each part in a process of its own."""
    lanes = os.cpu_count() or 1
    shares = sum(part.share for part in parts)
    waiting = sorted(parts, key=lambda part: -part.share)
    running: dict[int, Part] = {}
    found = []
    try:
        while waiting or running:
            if waiting and len(running) < lanes:
                part = waiting.pop(0)
                minutes = asked.minutes * min(1, lanes * part.share / shares)
                deadline = time.monotonic() + 60 * minutes
                bounds = Bounds(asked.seed, deadline, asked.cases, asked.case)
                running[_started(part, bounds, folder)] = part
                say(f"{part.name}: for at most {minutes:.0f} minutes")
                continue
            pid, _ = os.wait()
            part = running.pop(pid)
            tally = _told(folder / f"{part.name}.json", part)
            say(f"{part.name}: {tally.tried:,} of {part.tries:,} tried, {tally.failed:,} failed")
            found.append(tally)
    finally:
        for pid in running:  # where the campaign is interrupted
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return found


def _started(part: Part, bounds: Bounds, folder: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        die_with_parent()
        own = folder / part.name
        own.mkdir()
        os.chdir(own)
        counts = run_part(part, bounds, own).counts
        told = json.dumps({kind: asdict(count) for kind, count in counts.items()})
        (folder / f"{part.name}.json").write_text(told)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _told(path: Path, part: Part) -> Tally:
    if not path.exists():
        return Tally(part.name, counts={ITSELF: Count(1, 1)})
    counts = json.loads(path.read_text())
    return Tally(part.name, counts={kind: Count(**count) for kind, count in counts.items()})


def _table(found: Sequence[Tally], seed: int) -> pd.DataFrame:
    about = {
        "seed": seed,
        "machine": provenance.machine(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        "commit": provenance.commit(),
        "date": date.today().isoformat(),
    }
    rows = [
        {
            "part": tally.part,
            "kind": kind,
            "tried": count.tried,
            "failed": count.failed,
            "seconds": round(count.seconds, 1),
            **about,
        }
        for tally in found
        for kind, count in sorted(tally.counts.items())
    ]
    columns = ["part", "kind", "tried", "failed", "seconds", *about]
    return pd.DataFrame(rows, columns=columns).sort_values(["part", "kind"], ignore_index=True)


def _write(table: pd.DataFrame, output: Path) -> None:
    if output.exists():
        kept = pd.read_csv(output)
        table = pd.concat([kept[~kept["part"].isin(table["part"])], table])
    table.sort_values(["part", "kind"]).to_csv(output, index=False, lineterminator="\n")
