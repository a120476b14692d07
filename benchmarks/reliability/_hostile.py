"""Stores and names that mean harm: nothing is written outside, nothing is taken for markup."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pandas as pd
from benchmarks.reliability._child import (
    BAD_INPUT,
    DIVERGED,
    DONE,
    Ended,
    call,
    check_graceful,
    start,
)
from benchmarks.reliability._part import Case, Part, Tally, Wrong
from benchmarks.reliability._studies import SWEEP, TRAIN, Study, check_store, studied, sweep_file

from wider.cli import COMMANDS
from wider.runs._run_files import CHECKPOINT, HISTORY, MODEL, RESULT, SPEC

NOT_PRINTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # escape sequences begin with one
NAMES = [
    "</script><script>alert(1)</script>",
    "[bold red]x[/bold red]",
    "[/]",
    "\x1b[2J\x1b[31mred",
    "a\x07b\x9b1m",
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "\u202egnp.exe",
]
NO_ACCURACIES = ["1.7", "-0.2", "abc", "inf"]
# In no run of the demonstration.
WRONG_CELLS = [
    ("final_test_accuracy", NO_ACCURACIES),
    ("best_test_accuracy", NO_ACCURACIES),
    ("final_train_accuracy", NO_ACCURACIES),
    ("width", ["7", "1000"]),
    ("base_width", ["", "7"]),
    ("seed", ["-1", "7"]),
    ("method", ["", "linear_bottleneck"]),
    ("dataset", ["mnist", "digits2"]),
    ("learning_rate", ["0.7", ""]),
]
OF_A_RUN = [SPEC, HISTORY, MODEL, RESULT, CHECKPOINT]
OF_A_STORE = ["store.json", "index.sqlite", "locks", "set-aside"]


def prepare(folder: Path) -> Case:
    """A finished store, to be spoilt."""
    folder.mkdir()
    study = studied(folder, "train", *TRAIN)
    (finished,) = folder.glob("in-peace-*")
    kinds: dict[str, Callable[[Random, Path], None]] = {
        "a store with links and pipes": lambda random, here: _store(study, finished, random, here),
        "output over what is no page": lambda random, here: _output(finished, random, here),
        "names with markup": _names,
        "tables": _tables,
    }

    def case(random: Random, tally: Tally, here: Path) -> None:
        decoy = here / "decoy"
        (decoy / "folder").mkdir(parents=True)
        for name in ("file.txt", "page.html", "folder/other.json"):
            (decoy / name).write_text(f"{name} is the user's own\n")
        before = snapshot(decoy)
        kind = random.choice(list(kinds))
        with tally.trying(kind):
            kinds[kind](random, here)
            if (after := snapshot(decoy)) != before:
                raise Wrong(f"written outside: {dict(after.items() ^ before.items())}")

    return case


def snapshot(folder: Path) -> dict[str, str]:
    """All that a folder holds, with sizes, times and digests."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        about = [status.st_mode, status.st_mtime_ns, hashlib.sha256(content).hexdigest()]
        found[str(path.relative_to(folder))] = repr(about)
    return found


def _store(study: Study, finished: Path, random: Random, here: Path) -> None:
    store, decoy = here / "store", here / "decoy"
    shutil.copytree(finished, store)
    (key,) = study.numbers
    inside = [key, *(f"{key}/{name}" for name in OF_A_RUN), f"locks/{key}.lock"]
    place = store / random.choice([*inside, *OF_A_STORE])
    unfinished = random.random() < 0.5
    if unfinished:  # so that the command has something to write
        (store / key / RESULT).unlink()
    if random.random() < 0.2:  # where the next file is written before it gets its name
        what = "partial files as links"

        def before() -> None:
            for name in OF_A_RUN:
                partial = store / key / f".{name}.{os.getpid()}.partial"
                partial.symlink_to(decoy / "file.txt")
    else:
        what = f"{place.relative_to(here)} as {_put(place, decoy, random)}"

        def before() -> None:
            pass

    command = random.choice(["train", "train", "report", "results", "runs"])
    try:
        if command == "train":
            _train(study, store, before)
            return
        arguments = {"report": ["--output", here / "page.html"], "results": ["demo"], "runs": []}
        if command in COMMANDS:
            words = [command, *arguments[command], "--store", store]
            check_graceful(call(words), DONE, BAD_INPUT)
    except Wrong as wrong:
        raise Wrong(f"{what}, {command}: {wrong}") from wrong


def _train(study: Study, store: Path, before: Callable[[], None]) -> None:
    """Trains what is missing with the right numbers, or refuses."""
    ended = start(study.command(store), before=before).end()
    check_graceful(ended, study.code, BAD_INPUT)
    if ended.code == study.code:
        check_store(store, study)


def _put(place: Path, decoy: Path, random: Random) -> str:
    """Puts something in the place of a file or a folder; returns what."""
    if place.is_dir():
        shutil.rmtree(place)
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    target = random.choice(
        [decoy / "file.txt", decoy / "folder", decoy / "new", decoy, Path("/dev/zero"), None]
    )
    if target is None:
        os.mkfifo(place)
        return "a FIFO"
    place.symlink_to(target)
    return f"a link to {target.name}"


def _output(finished: Path, random: Random, here: Path) -> None:
    """A file that is no page of wider's stays as it is."""
    output = here / "output.html"
    what = _put(output, here / "decoy", random) if random.random() < 0.6 else "a file of text"
    if "zero" in what:  # what is written there is gone, and nobody's loss
        output.unlink()
        what = "a file of text"
    if what == "a file of text":
        output.write_text("somebody's thesis\n")
    words = ["report", "--store", finished, "--output", output]
    # Through a link or not, pictures go into the folder that was named.
    if random.random() < 0.2 and not output.is_dir():
        words[3:] = ["--output", here / "page.html", "--pictures", output]
    # What draws pictures takes more addresses than memory.
    ended = start(words, room=False).end()
    try:
        check_graceful(ended, DONE, BAD_INPUT)
        if what == "a file of text" and output.read_text() != "somebody's thesis\n":
            raise Wrong(f"overwritten: {ended.told}")
    except Wrong as wrong:
        raise Wrong(f"{words[0]} to {what}: {wrong}") from wrong


def _names(random: Random, here: Path) -> None:
    name = random.choice(NAMES)
    kind = random.choice(["title", "dataset", "store", "experiment", "data folder", "study"])
    study = sweep_file(here, SWEEP.format(seeds=[0]))
    if kind == "title":
        file = here / "titled.toml"
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
        file.write_text(SWEEP.format(seeds=[0]).replace('"Tiny"', f'"{escaped}"'))
        words = ["sweep", file, "--store", here / "store"]
    elif kind == "dataset":
        words = ["train", "--data.dataset", name, "--store", here / "store"]
    elif kind == "store":
        words = ["train", *TRAIN, "--store", here / name.replace("/", "|")]
    elif kind == "experiment":
        words = ["results", name, "--store", here / "store"]
    elif kind == "data folder":
        words = ["train", "--data-dir", here / name.replace("/", "|"), "--store", here / "store"]
    else:
        words = ["sweep", here / f"{name.replace('/', '|')}.toml"]
        (here / f"{name.replace('/', '|')}.toml").write_text(Path(study).read_text() + "\nx = 1")
    ended = call(words)
    try:
        check_graceful(ended, DONE, BAD_INPUT, DIVERGED)
        _check_plain(ended, name, kind)
        if ended.code != BAD_INPUT:
            _check_page(here, words[-1])
    except Wrong as wrong:
        raise Wrong(f"{name!r} as {kind}: {wrong}") from wrong


def _check_plain(ended: Ended, name: str, kind: str) -> None:
    printed = ended.out + ended.err
    if found := NOT_PRINTED.findall(printed):
        raise Wrong(f"{found} went to the terminal: {ended.told}")
    shown = name.replace("/", "|") if kind not in ("title", "dataset", "experiment") else name
    if name.isprintable() and shown not in printed:
        raise Wrong(f"it is not shown as it is: {ended.told}; {ended.out[:500]!r}")


def _check_page(here: Path, store: object) -> None:
    page = here / "page.html"
    check_graceful(call(["report", "--store", str(store), "--output", page]), DONE)
    text = page.read_text()
    if "alert(1)" in text.replace("&lt;script&gt;alert(1)", "").replace("onerror=alert(1)&gt;", ""):
        raise Wrong("markup gets into the page")


def _tables(random: Random, here: Path) -> None:
    """Cells that no run can have, or not this one, are refused; what is odd makes no traceback."""
    results = here / "results"
    results.mkdir()
    root = Path(__file__).parents[2] / "results"
    table = pd.read_csv(root / "demo-laptop.csv", dtype=str, keep_default_na=False)
    column, cells = random.choice(WRONG_CELLS)
    row, cell = random.randrange(len(table)), random.choice(cells)
    table.loc[row, column] = cell
    table.to_csv(results / "demo-laptop.csv", index=False)
    impossible = random.random() < 0.5
    if not impossible:
        content = bytearray((root / "demo-laptop.csv").read_bytes())
        for place in random.sample(range(len(content)), 5):
            content[place] = random.randrange(256)
        end = random.choice([len(content), random.randrange(len(content))])
        (results / "demo-laptop.csv").write_bytes(content[:end])
    words = ["report", "--results", results, "--output", here / "page.html"]
    ended = call(words)
    check_graceful(ended, DONE, BAD_INPUT)
    if impossible and ended.code == DONE:
        raise Wrong(f"{column} {cell} is taken for a number to show")


PART = Part("hostile", tries=300, share=8, prepare=prepare)
