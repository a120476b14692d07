"""A disk that is full: files that cannot grow, and operations that find no space."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.reliability._child import BAD_INPUT, call, check_graceful
from benchmarks.reliability._operations import at_operation
from benchmarks.reliability._part import Case, Part, Tally, Wrong
from benchmarks.reliability._studies import (
    SWEEP,
    TRAIN,
    Study,
    check_store,
    finish,
    in_pauses,
    studied,
    sweep_file,
)

LARGEST = 20_000  # bytes: more than any file of these studies
LARGEST_PAGE = 2_000_000
OLD_PAGE = "<!DOCTYPE html><p>an older page</html>\n"


def prepare(folder: Path) -> Case:
    """Two studies, and a store to make pages of."""
    folder.mkdir()
    file = sweep_file(folder, SWEEP.format(seeds=[0]))
    studies = [studied(folder, "train", *TRAIN), studied(folder, "sweep", file)]
    finished = folder / "finished"
    finish(studies[1], finished)
    call(["report", "--store", finished, "--output", folder / "page.html"])

    def case(random: Random, tally: Tally, here: Path) -> None:
        if random.random() < 0.1:
            with tally.trying("a page that finds no space"):
                _write_page(finished, here / "page.html", random)
            return
        study, store = random.choice(studies), here / "store"
        fault, before = random.choice([_small_files, _no_space])(study, store, random)
        with tally.trying(fault):
            ended = call(study.command(store), before=before)
            check_graceful(ended, BAD_INPUT, study.code)
            check_store(store, study)
        with tally.trying("goes on to the same end"):
            finish(study, store)

    return case


def _small_files(_: Study, __: Path, random: Random) -> tuple[str, Callable[[], None]]:
    size = _size(LARGEST, random)

    def before() -> None:
        in_pauses(0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return "files that cannot grow", before


def _no_space(study: Study, store: Path, random: Random) -> tuple[str, Callable[[], None]]:
    nth, for_good = random.randint(1, study.operations // 2), random.random() < 0.5

    def act(seen: int, name: str) -> None:
        if seen == nth or (for_good and seen > nth and name != "os.remove"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def before() -> None:
        in_pauses(0)
        at_operation(store, act, writing_only=True)

    return "no space at an operation", before


def _write_page(store: Path, page: Path, random: Random) -> None:
    """A page that cannot be written leaves the old one, or none."""
    was_there = random.random() < 0.5
    if was_there:
        page.write_text(OLD_PAGE)
    size = _size(LARGEST_PAGE, random)

    def before() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    ended = call(["report", "--store", store, "--output", page], before=before)
    check_graceful(ended, 0, BAD_INPUT)
    left = page.read_text() if page.exists() else ""
    if ended.code == BAD_INPUT and left != (OLD_PAGE if was_there else ""):
        raise Wrong(f"{len(left):,} characters of a page were left where {size:,} bytes had room")
    if ended.code == 0 and not left.rstrip().endswith("</html>"):
        raise Wrong(f"a page said to be written ends with {left[-40:]!r}")


def _size(largest: int, random: Random) -> int:
    return int(largest ** random.uniform(0, 1))


PART = Part("full", tries=300, share=5, prepare=prepare, case_tries=2)
