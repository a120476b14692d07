"""Files that are there whole or not at all."""

import errno
import os
from pathlib import Path

PARTIAL = ".partial"  # how the names of unfinished files end


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file at one stroke: whoever looks sees the whole of it or nothing.

    A writer that is killed leaves a hidden file beside it, whose name ends with `PARTIAL`.

    Args:
        path: of the file; its folder is made where it is missing.
        content: of the file.

    Raises:
        OSError: it cannot be written, and is as it was; the error has its name.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process's name, as a worker whose parent was killed may still be writing.
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # a full disk has no name of its own
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_output(path: Path, content: bytes) -> None:
    """Writes a file that a user named: at one stroke, except to a pipe or a device.

    Args:
        path: of the file; of a link, the file that it leads to is written.
        content: of the file.

    Raises:
        OSError: it cannot be written, or its folder does not exist.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    target = path.resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))
    write_whole(target, content)
