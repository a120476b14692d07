"""What can happen to a file."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd

from wider.runs._run_files import HISTORY, RESULT, SPEC

DEEP = 100_000  # brackets
Mutation = Callable[[Path, Sequence[Path], Random], str | None]
"""Damages a file, given the files of its name in other runs; returns what it did, or None where it
does not apply."""


def _truncated(path: Path, _: Sequence[Path], random: Random) -> str:
    size = random.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"cut to {size} bytes"


def _flipped(path: Path, _: Sequence[Path], random: Random) -> str:
    content = bytearray(path.read_bytes())
    places = random.sample(range(len(content)), min(random.choice([1, 1, 2, 8]), len(content)))
    for place in places:
        content[place] ^= 1 << random.randrange(8)
    path.write_bytes(content)
    return f"with a bit turned over at {places}"


def _inserted(path: Path, _: Sequence[Path], random: Random) -> str:
    content = path.read_bytes()
    place = random.choice([0, len(content), random.randrange(len(content))])
    new = random.choice([b"\0", b"\n", b"}", b"\xff\xfe", random.randbytes(random.randint(1, 50))])
    path.write_bytes(content[:place] + new + content[place:])
    return f"with {new!r} inserted at {place}"


def _emptied(path: Path, _: Sequence[Path], __: Random) -> str:
    path.write_bytes(b"")
    return "emptied"


def _zeroed(path: Path, _: Sequence[Path], __: Random) -> str:
    path.write_bytes(bytes(path.stat().st_size))
    return "of zeros"


def _swapped(path: Path, others: Sequence[Path], random: Random) -> str | None:
    if not others:
        return None
    other = random.choice(others)
    path.write_bytes(other.read_bytes())
    return f"replaced with that of {other.parent.name}"


def _deep_json(path: Path, _: Sequence[Path], random: Random) -> str:
    bracket = random.choice(["[", '{"a":'])
    path.write_text(bracket * DEEP)
    return "replaced with deep JSON"


def _other_json(path: Path, _: Sequence[Path], random: Random) -> str:
    text = random.choice(["null", "[]", "{}", "1", '"a"', '{"schema_version": 99}', "NaN", "1e999"])
    path.write_text(text)
    return f"replaced with {text}"


def _other_number(path: Path, _: Sequence[Path], random: Random) -> str | None:
    """Valid JSON in which one number is another one; the seal stays."""
    if path.suffix != ".json":
        return None
    document = json.loads(path.read_bytes())
    where, table, name = random.choice(list(_numbers_of(document, "")))
    table[name] = random.choice([table[name] + 1, -1, 10**400, 0.5, "7", None])
    path.write_text(json.dumps(document, indent=2) + "\n")
    return f"with another number at {where}"


def _resealed(path: Path, _: Sequence[Path], random: Random) -> str | None:
    """A history or a result that does not fit the other, with digests and seal that do."""
    result = path.parent / RESULT
    if path.name not in (HISTORY, RESULT) or not result.exists():
        return None
    document = json.loads(result.read_bytes())
    if path.name == HISTORY:
        table = pd.read_parquet(path)
        # Of what the result says, too: nobody can see that the rest was forged.
        column, value = random.choice(
            [("test_accuracy", 0.999), ("test_accuracy", -1.0), ("train_loss", float("nan"))]
        )
        table.loc[len(table) - 1, column] = value
        content = io.BytesIO()
        table.to_parquet(content, index=False)
        path.write_bytes(content.getvalue())
        document["files"][HISTORY] = hashlib.sha256(content.getvalue()).hexdigest()
        what = f"with another last {column}"
    else:
        name = random.choice(["final", "best_test"])
        document["result"][name]["test_accuracy"] = 0.999
        what = f"with another {name}"
    del document["seal"]
    result.write_bytes(_bytes({**document, "seal": seal_of(document)}))
    return f"{what}, and sealed again"


def _folder(path: Path, _: Sequence[Path], random: Random) -> str:
    path.unlink()
    path.mkdir()
    if random.random() < 0.5:
        (path / "file").write_text("something")
    return "replaced with a folder"


def _symlink(path: Path, others: Sequence[Path], random: Random) -> str:
    target = random.choice([path, path.with_name("nowhere"), Path("/proc/self/mem"), *others[:2]])
    path.unlink()
    path.symlink_to(target)
    return f"replaced with a link to {target}"


def _fifo(path: Path, _: Sequence[Path], __: Random) -> str:
    path.unlink()
    os.mkfifo(path)
    return "replaced with a FIFO"


def _removed(path: Path, _: Sequence[Path], __: Random) -> str:
    path.unlink()
    return "removed"


def _folder_removed(path: Path, _: Sequence[Path], __: Random) -> str | None:
    if path.name != SPEC:
        return None
    shutil.rmtree(path.parent)
    return "removed with all of its run"


def _folder_is_file(path: Path, _: Sequence[Path], __: Random) -> str | None:
    if path.name != SPEC:
        return None
    shutil.rmtree(path.parent)
    path.parent.write_text("no folder")
    return "gone, as its folder is a file"


MUTATIONS: dict[str, Mutation] = {
    "truncated": _truncated,
    "bits turned over": _flipped,
    "bytes inserted": _inserted,
    "emptied": _emptied,
    "zeros": _zeroed,
    "another run's": _swapped,
    "deep JSON": _deep_json,
    "other JSON": _other_json,
    "another number": _other_number,
    "edited and sealed again": _resealed,
    "a folder": _folder,
    "a link": _symlink,
    "a FIFO": _fifo,
    "removed": _removed,
    "run removed": _folder_removed,
    "run is a file": _folder_is_file,
}


def is_gone(store: Path, victim: Path) -> bool:
    """Whether a run is no longer a finished one at all, so that nobody has to name it."""
    return victim.parent != store and not os.path.lexists(victim.parent / RESULT)


def check_seal(result: Path) -> None:
    """Makes sure that results are sealed here as the store seals them."""
    document = json.loads(result.read_bytes())
    seal = document.pop("seal")
    if seal != seal_of(document):
        raise RuntimeError("the seal of a store is another one now: `seal_of` has to follow it")


def seal_of(document: object) -> str:
    """The seal of a result."""
    return hashlib.sha256(_bytes(document)).hexdigest()


def _bytes(document: object) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()


def _numbers_of(value: Any, at: str) -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, entry in list(entries):
        if isinstance(entry, dict | list):
            yield from _numbers_of(entry, f"{at}/{name}")
        elif isinstance(entry, int | float) and not isinstance(entry, bool):
            yield f"{at}/{name}", value, name
