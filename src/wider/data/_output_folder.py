"""The folder that a preparation writes: whether it may, and whether there is room."""

import json
import shutil
from pathlib import Path

from wider.data._index import INDEX, SOURCE, is_prepared
from wider.data._reencode import RULE
from wider.data._sources import Source
from wider.errors import InputError
from wider.files import partial_of, remove_partials, write_whole


def check_output(folder: Path, source: Source) -> None:
    """Does nothing if a folder is free for a preparation, or holds a part or all of the same one.

    Raises:
        InputError: it holds something else, or what was made from another source.
    """
    if is_prepared(folder):
        if (folder / SOURCE).read_bytes() != _description(source):
            raise InputError(
                f"{folder} was prepared from another source, or {source.location} has changed "
                "since, or another version of wider made it. Remove that folder or name another "
                "output."
            )
    elif folder.exists() and (not folder.is_dir() or _foreign(folder)):
        raise InputError(f"{folder} holds something else. Name another output.")


def claim_output(folder: Path, source: Source) -> None:
    """Makes the folder and notes the source in it; removes what a killed process left half-done."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_partials(folder)
    if not is_prepared(folder):
        write_whole(folder / SOURCE, _description(source))


def is_finished(folder: Path) -> bool:
    """Whether the preparation in a folder came to its end."""
    return (folder / INDEX).is_file()


def check_room(folder: Path, needed: float, purpose: str) -> None:
    """Does nothing if a disk has room.

    Args:
        folder: on the disk; it need not exist yet.
        needed: bytes.
        purpose: what they are for.

    Raises:
        InputError: there is too little.
    """
    resolved = folder.resolve()
    there = next(path for path in (resolved, *resolved.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise InputError(
            f"{_size(needed)} are needed {purpose}, but {folder} has {_size(free)} left. Make "
            "room or name an output on another disk."
        )


def _description(source: Source) -> bytes:
    return json.dumps({"fingerprint": source.fingerprint, "rule": RULE}, indent=1).encode()


def _foreign(folder: Path) -> bool:
    return any(partial_of(path.name) is None for path in folder.iterdir())


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.3f} MB"
