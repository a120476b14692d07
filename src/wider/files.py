"""Files that are there whole or not at all."""

import os
from pathlib import Path

PARTIAL = ".partial"  # how the names of unfinished files end


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file at one stroke: whoever looks sees the whole of it or nothing.

    A writer that is killed leaves a hidden file beside it, whose name ends with `PARTIAL`.

    Args:
        path: of the file; its folder is made where it is missing.
        content: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process's name, as a worker whose parent was killed may still be writing.
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
