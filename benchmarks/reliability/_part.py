"""What a part of the campaign is, and the count of what it tried."""

import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

SHOWN = 3  # failures of a kind that are told in full
ITSELF = "the campaign itself"  # the kind of what is wrong with this script


class Wrong(Exception):  # noqa: N818 - what the campaign looks for, not a bug of its own
    """Something is not as it should be; the message says what."""


@dataclass
class Count:
    """Of one kind of try."""

    tried: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass
class Tally:
    """What a part tried, by kind.

    Attributes:
        part: its name.
        repeat: how to repeat the case that is tried now.
        counts: by kind.
    """

    part: str
    repeat: str = ""
    counts: dict[str, Count] = field(default_factory=dict)

    @property
    def tried(self) -> int:
        """Tries of all kinds."""
        return sum(count.tried for count in self.counts.values())

    @property
    def failed(self) -> int:
        """Failures of all kinds."""
        return sum(count.failed for count in self.counts.values())

    @contextmanager
    def trying(self, kind: str, since: float | None = None) -> Iterator[None]:
        """Counts a try, and notes it where it goes wrong; the case ends there."""
        start = time.monotonic() if since is None else since
        try:
            yield
        except Wrong as wrong:
            self.add(kind, failures=[str(wrong)], seconds=time.monotonic() - start)
            raise
        self.add(kind, seconds=time.monotonic() - start)

    def add(
        self, kind: str, *, tried: int = 1, failures: list[str] | None = None, seconds: float = 0.0
    ) -> None:
        """Counts tries, and tells of the first few that failed."""
        count = self.counts.setdefault(kind, Count())
        for failure in (failures or [])[: max(SHOWN - count.failed, 0)]:
            say(f"WRONG  {self.part}, {kind}: {failure}\n       repeat: {self.repeat}")
        count.tried += tried
        count.failed += len(failures or [])
        count.seconds += seconds


Case = Callable[[Random, Tally, Path], None]


@dataclass(frozen=True)
class Part:
    """A part of the campaign.

    Attributes:
        name: of one word.
        tries: how many a whole campaign makes.
        share: of the time, relative to other parts.
        prepare: makes the function that tries one case; it is given a folder for what all share.
        case_tries: about how many tries a case makes.
    """

    name: str
    tries: int
    share: float
    prepare: Callable[[Path], Case]
    case_tries: int = 1


@dataclass(frozen=True)
class Bounds:
    """When a part ends: the first of these.

    Attributes:
        seed: of all that is drawn.
        deadline: a monotonic time.
        cases: how many, if not as many as the part's tries take.
        only_case: the number of the one case that is tried, to repeat it.
    """

    seed: int
    deadline: float
    cases: int | None = None
    only_case: int | None = None


def run_part(part: Part, bounds: Bounds, folder: Path) -> Tally:
    """Tries case after case, each with random numbers and a folder of its own."""
    tally = Tally(part.name)
    try:
        case = part.prepare(folder / "shared")
    except Exception:  # whatever goes wrong here, the campaign has failed
        tally.add(ITSELF, failures=[traceback.format_exc()])
        return tally
    number = bounds.only_case or 0
    while not _ended(part, bounds, tally, number):
        tally.repeat = _command(part.name, bounds.seed, number)
        here = folder / f"{part.name}-{number}"
        here.mkdir()
        failed = tally.failed
        try:
            case(Random(f"{bounds.seed} {part.name} {number}"), tally, here)
        except Wrong as wrong:
            if tally.failed == failed:
                tally.add(ITSELF, failures=[f"outside of a try: {wrong}"])
        except Exception:  # the same
            tally.add(ITSELF, failures=[traceback.format_exc()])
        finally:
            shutil.rmtree(here)
        number += 1
    return tally


def _ended(part: Part, bounds: Bounds, tally: Tally, number: int) -> bool:
    if bounds.only_case is not None:
        return number > bounds.only_case
    if bounds.cases is not None:
        return number >= bounds.cases
    return tally.tried >= part.tries or time.monotonic() >= bounds.deadline


def _command(name: str, seed: int, number: int) -> str:
    return f"python -m benchmarks.reliability --only {name} --seed {seed} --case {number}"


def say(message: str) -> None:
    """Writes a line to standard error."""
    print(message, file=sys.stderr, flush=True)
