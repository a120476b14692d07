"""Files of a store that are damaged: what is shown is right, or the run is named."""

import csv
import io
import re
import shutil
from pathlib import Path
from random import Random

from benchmarks.reliability._child import BAD_INPUT, Ended, ask, call, check_graceful
from benchmarks.reliability._damage import MUTATIONS, check_seal, is_gone
from benchmarks.reliability._part import Case, Part, Tally, Wrong
from benchmarks.reliability._studies import Study, check_store, studied

from wider.cli import COMMANDS
from wider.runs import Store, execute
from wider.runs._run_files import CHECKPOINT, RESULT
from wider.study import EXPERIMENTS

PAGES = 0.1  # share of the cases in which a page is made, which takes a second
MADE = re.compile(r"Page made [^;]*;")


def prepare(folder: Path) -> Case:
    """A finished store, and one of which a run is unfinished; and what they show."""
    folder.mkdir()
    arguments = ("run", "demo", "--scale", "smoke")
    study = studied(folder, *arguments)
    (finished,) = folder.glob("in-peace-*")
    unfinished = _with_checkpoint(finished, folder / "unfinished")
    check_seal(next(finished.glob(f"*/{RESULT}")))
    known = {store: _Known(store, folder) for store in (finished, unfinished)}

    def case(random: Random, tally: Tally, here: Path) -> None:
        template = random.choice([finished, finished, unfinished])
        store = here / "store"
        shutil.copytree(template, store)
        victim = random.choice(sorted(_files(store)))
        name, mutation = random.choice(list(MUTATIONS.items()))
        others = [path for path in _files(store) if path.name == victim.name and path != victim]
        # In a child, since what reads and writes tables starts threads.
        what = ask(lambda: mutation(victim, others, random))
        if what is None:  # this cannot be done to this file
            return
        with tally.trying(name):
            try:
                _check(study, known[template], store, victim, random)
            except Wrong as wrong:
                raise Wrong(f"{victim.relative_to(here)} {what}: {wrong}") from wrong

    return case


class _Known:
    """What an undamaged store shows, with all runs and without one of them."""

    def __init__(self, store: Path, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.rows = _rows(call(_results(store)))
        self._pages: dict[str, str] = {}

    def page(self, without: str) -> str:
        """The page of the store without a run."""
        if without not in self._pages:
            copy = self.folder / "without"
            shutil.copytree(self.store, copy)
            if without:
                shutil.rmtree(copy / without)
            (copy / "index.sqlite").unlink(missing_ok=True)
            ended = call(["report", "--store", copy, "--output", self.folder / "page.html"])
            check_graceful(ended, 0)
            self._pages[without] = _page(self.folder / "page.html")
            shutil.rmtree(copy)
        return self._pages[without]


def _check(study: Study, known: _Known, store: Path, victim: Path, random: Random) -> None:
    gone = is_gone(store, victim)
    ended = call(_results(store))
    check_graceful(ended, 0, BAD_INPUT)
    absent = _check_shown(ended, known, store, victim, gone)
    if "runs" in COMMANDS:
        check_graceful(call(["runs", "--store", store]), 0, BAD_INPUT)
    if random.random() < PAGES:
        _check_page(known, store, victim, absent)
    trained = call(study.command(store))
    if trained.code == BAD_INPUT and victim.parent == store:
        check_graceful(trained, BAD_INPUT)
        return
    check_graceful(trained, study.code)
    check_store(store, study, finished=True)


def _check_shown(ended: Ended, known: _Known, store: Path, victim: Path, gone: bool) -> str:
    """Makes sure that rows are right, or their runs are named; returns the key that is absent."""
    if ended.code == BAD_INPUT:
        if victim.parent != store and victim.parent.name not in ended.err:
            raise Wrong(f"refused without a name: {ended.told}")
        return ""
    rows = _rows(ended)
    for key, row in rows.items():
        expected = known.rows.get(key, {})
        if wrong := [f"{name} {row[name]}" for name in row if row[name] != expected.get(name)]:
            raise Wrong(f"of {key}, wrong numbers are shown: {wrong}")
    absent = sorted(set(known.rows) - set(rows))
    if len(absent) > 1:
        raise Wrong(f"{absent} are not shown: {ended.told}")
    is_known = gone and absent == [victim.parent.name]
    if absent and absent[0] not in ended.err and not is_known:
        raise Wrong(f"{absent[0]} is left out in silence: {ended.told}")
    return absent[0] if absent else ""


def _check_page(known: _Known, store: Path, victim: Path, absent: str) -> None:
    page = store.parent / "page.html"
    ended = call(["report", "--store", store, "--output", page])
    check_graceful(ended, 0, BAD_INPUT)
    if ended.code == BAD_INPUT:
        if victim.parent != store:
            raise Wrong(f"no page because of one run: {ended.told}")
        return
    if _page(page) not in (known.page(absent), known.page("")):
        raise Wrong("the page is not that of the store with or without this run")


def _results(store: Path) -> list[object]:
    return ["results", "demo", "--scale", "smoke", "--format", "csv", "--store", store]


def _rows(ended: Ended) -> dict[str, dict[str, str]]:
    return {row["key"]: row for row in csv.DictReader(io.StringIO(ended.out))}


def _page(path: Path) -> str:
    """A page without the time at which it was made."""
    return MADE.sub("", path.read_text())


def _files(store: Path) -> list[Path]:
    files = (path for path in store.rglob("*") if path.is_file())
    return [path for path in files if path.parent.name != "locks"]


def _with_checkpoint(finished: Path, store: Path) -> Path:
    """A copy in which one run is not finished."""
    shutil.copytree(finished, store)
    spec = EXPERIMENTS["demo"].scale("smoke").specs()[1]
    shutil.rmtree(store / spec.key)

    def interrupted() -> bool:
        try:
            execute(spec, Store(store), checkpoint_seconds=0, on_epoch=_interrupt_after_two)
        except KeyboardInterrupt:
            return True
        return False

    if not ask(interrupted) or not (store / spec.key / CHECKPOINT).exists():
        raise RuntimeError("no checkpoint was written")
    return store


def _interrupt_after_two(row: object) -> None:
    if getattr(row, "epoch", None) == 2:
        raise KeyboardInterrupt


PART = Part("mutations", tries=1000, share=24, prepare=prepare)
