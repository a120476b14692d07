"""What happens at the nth operation of a process on the files of a folder."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Python tells of these itself, before they happen; of the others the functions below do.
TOLD = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate", "os.rmdir"}
OWN = {"fsync", "after fsync", "after replace"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def at_operation(
    folder: Path, act: Callable[[int, str], None], *, writing_only: bool = False
) -> None:
    """Calls a function with the number and the name of every operation on files in a folder.

    Cannot be undone: for a forked child.

    Args:
        folder: whose files count.
        act: what is called; what it raises, the operation raises.
        writing_only: whether files that are opened to be read do not count.
    """
    seen = 0
    prefix = str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in TOLD and event not in OWN:
            return
        if isinstance(arguments[0], int | None) or not os.fsdecode(arguments[0]).startswith(prefix):
            return
        flags = arguments[2] if event == "open" else WRITING
        if writing_only and not (flags or 0) & WRITING:
            return
        seen += 1
        act(seen, event)

    _tell_of("fsync", "after fsync", "fsync")
    _tell_of(None, "after replace", "replace")
    sys.addaudithook(hook)


def _tell_of(before: str | None, after: str, name: str) -> None:
    real = getattr(os, name)

    def told(*arguments: Any, **keywords: Any) -> None:
        first = arguments[0]
        path = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else first
        if before is not None:
            sys.audit(before, path)
        real(*arguments, **keywords)
        sys.audit(after, path)

    setattr(os, name, told)
