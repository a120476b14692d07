"""Many inputs that hypothesis makes up, each tried in a child that many share."""

import contextlib
import io
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import hypothesis
from benchmarks.reliability._child import Child
from benchmarks.reliability._part import Tally, Wrong
from hypothesis import HealthCheck, Phase
from hypothesis.strategies import SearchStrategy

from wider.cli import main

SECONDS_EACH = 10  # that an input may take
PATIENCE = 300.0  # for all of a child's


def try_examples(
    kind: str,
    strategy: SearchStrategy[Any],
    check: Callable[[Any], None],
    count: int,
    *,
    random: Random,
    tally: Tally,
    here: Path,
) -> None:
    """Checks examples of a strategy in one child, and counts them.

    Args:
        kind: of these tries.
        strategy: of the examples.
        check: raises where something is wrong; called in the folder `here`.
        count: of the examples.
        random: gives the seed of the strategy.
        tally: that is added to.
        here: a folder of this case alone.
    """
    seed, last, start = random.getrandbits(32), here.with_suffix(".last"), time.monotonic()

    def function() -> int:
        os.chdir(here)
        signal.signal(signal.SIGALRM, _give_up)
        found = _tried(strategy, check, count, seed, last)
        sys.stdout.write(json.dumps(found))
        return 0

    ended = Child(function).end(PATIENCE)
    seconds = time.monotonic() - start
    if ended.code == 0:
        tried, given_up, failures = json.loads(ended.out)
        tally.add(kind, tried=tried - given_up, failures=failures, seconds=seconds)
        if given_up:
            tally.add(f"{kind}, given up after {SECONDS_EACH} s", tried=given_up)
    else:
        example = last.read_text() if last.exists() else ""
        tally.add(kind, failures=[f"{example[:2000]}: {ended.told}"], seconds=seconds)
    last.unlink(missing_ok=True)


def called(arguments: list[str]) -> tuple[int, str, str]:
    """Runs a command in this process; returns its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code: Any = main(arguments)
        except SystemExit as stop:
            code = stop.code
    if code not in (0, 2, 3):
        raise Wrong(f"exit code {code}: {err.getvalue()[-300:]!r}")
    if "Traceback" in err.getvalue():
        raise Wrong(f"a traceback: {err.getvalue()[-700:]!r}")
    if code == 2 and not err.getvalue().strip():
        raise Wrong("refused without a word")
    return code, out.getvalue(), err.getvalue()


def _tried(
    strategy: SearchStrategy[Any], check: Callable[[Any], None], count: int, seed: int, last: Path
) -> tuple[int, int, list[str]]:
    tried, given_up, failures = 0, 0, []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    @hypothesis.given(strategy)
    def each(example: Any) -> None:
        nonlocal tried, given_up
        tried += 1
        last.write_text(repr(example), errors="replace")
        start, failure = time.monotonic(), ""
        signal.alarm(SECONDS_EACH)
        try:
            check(example)
        except Wrong as wrong:
            failure = str(wrong)
        except Exception:  # whatever escapes from wider is what is looked for
            failure = traceback.format_exc()[-700:]
        except _GivenUp:
            pass
        finally:
            signal.alarm(0)
        # A net of a million layers takes its time, which is no fault; and where Python throws the
        # exception away, as in a callback, what is printed of it is ours.
        if time.monotonic() - start >= SECONDS_EACH:
            given_up += 1
        elif failure:
            failures.append(f"{example!r}: {failure}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of libraries are no lines of wider's
        each()
    return tried, given_up, failures


class _GivenUp(BaseException):
    """Nothing that wider could catch."""


def _give_up(*_: object) -> None:
    raise _GivenUp
