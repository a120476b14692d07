"""Files that are there whole or not at all, and that are files and nothing else."""

import errno
import os
import re
import secrets
import stat
from pathlib import Path

PARTIAL = ".partial"  # how the names of unfinished files end
# A number in the place of the digits: what earlier versions left.
PARTIAL_NAME = re.compile(rf"\.(?P<name>.+)\.([0-9a-f]{{16}}|[0-9]+){re.escape(PARTIAL)}")


class NotAFileError(OSError):
    """What stands in a file's place is a link, a folder, a pipe or a device."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file at one stroke: whoever looks sees the whole of it or nothing.

    It is on the disk when this returns, and survives a power cut. A writer that is killed leaves a
    hidden file beside it, which `remove_partials` removes. A link in the file's place is replaced,
    not followed.

    Args:
        path: of the file; its folder is made where it is missing.
        content: of the file.

    Raises:
        OSError: it cannot be written, and is as it was; the error has its name.
    """
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    make_folder(path.parent)
    # A name that nobody can guess and lay a link at; "x" follows none.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # a full disk has no name of its own
        raise
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_output(path: Path, content: bytes) -> None:
    """Writes a file that a user named: at one stroke, except to a pipe or a device.

    Args:
        path: of the file; of a link, the file that it leads to is written.
        content: of the file.

    Raises:
        OSError: it cannot be written, or its folder does not exist.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        _write_into(path, content)
        return
    write_whole(target_of(path), content)


def target_of(path: Path) -> Path:
    """The file that a user named, which need not exist yet, or that a link of that name leads to.

    Raises:
        OSError: its folder does not exist, or the link leads nowhere: someone may have laid it, for
            a file to be made where it leads.
    """
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(errno.ENOENT, "it is a link that leads nowhere", str(path))
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))
    return target


def _write_into(path: Path, content: bytes) -> None:
    """Writes to a pipe or a device; one that nobody reads from is not waited for."""
    no_waiting = getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, os.O_WRONLY | no_waiting)
    if no_waiting:
        os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def read_whole(path: Path) -> bytes:
    """The content of a file.

    Raises:
        NotAFileError: it is a link, or something that may have no end.
        OSError: it is missing or cannot be read.
    """
    # Links are not followed, and a pipe that nobody writes to is not waited for.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise NotAFileError(errno.EINVAL, "it is a link, and no file", str(path))
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError(errno.EINVAL, "it is no regular file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are missing; they survive a power cut."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        _sync_folder(folder.parent)


def partial_of(name: str) -> str | None:
    """Of a file that `write_whole` left unfinished the name that it was to get; else None."""
    partial = PARTIAL_NAME.fullmatch(name)
    return partial["name"] if partial else None


def remove_partials(folder: Path, names: set[str] | None = None) -> None:
    """Removes what writers of files of a folder left unfinished, and nothing else.

    Nobody may be writing these files.

    Args:
        folder: it may be missing.
        names: of the files; all by default.
    """
    for path in folder.glob(f".*{PARTIAL}"):
        name = partial_of(path.name)
        if name is not None and (names is None or name in names) and not path.is_dir():
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without such a thing
            raise
    finally:
        os.close(descriptor)
