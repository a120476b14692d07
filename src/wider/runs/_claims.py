"""Who trains a run at this moment."""

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from wider.files import read_whole


@dataclass(frozen=True)
class Claim:
    """What a process that trains a run says of itself, or said before it was killed.

    Attributes:
        title: of the run.
        epochs: that it is to be trained for.
        machine: on which the process runs; its name.
        process: its number there.
        since: when it began, in seconds since 1970.
        epochs_before: that were behind it then.
    """

    title: str
    epochs: int
    machine: str
    process: int
    since: float
    epochs_before: float

    @classmethod
    def now(cls, title: str, epochs: int, epochs_before: float) -> "Claim":
        """That of this process."""
        return cls(title, epochs, platform.node(), os.getpid(), time.time(), epochs_before)

    @property
    def who(self) -> str:
        """The process, and when it began, in local time."""
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"process {self.process} on {self.machine}, since {since}"

    def seconds_left(self, epochs_done: float) -> float | None:
        """About how long it takes from now; None before anything is known."""
        trained = epochs_done - self.epochs_before
        if trained <= 0:
            return None
        return (time.time() - self.since) * (self.epochs - epochs_done) / trained


@contextmanager
def held(lock: FileLock, *, wait: bool, claim: Claim | None = None) -> Iterator[None]:
    """Keeps other processes off until the block is left; the system does it for one that dies.

    Args:
        lock: its file is removed afterwards.
        wait: whether to wait for another process.
        claim: what others may read in that file meanwhile.

    Raises:
        filelock.Timeout: another process has it, and `wait` is False.
    """
    with lock.acquire(blocking=wait):
        path = Path(lock.lock_file)
        if claim is not None:
            with suppress(OSError):  # Windows lets nobody write a file that is locked
                path.write_text(json.dumps(asdict(claim)), encoding="utf-8")
        try:
            yield
        finally:
            # While it is held: whoever opened it meanwhile sees that it is gone, and makes another.
            with suppress(PermissionError):  # Windows again
                path.unlink(missing_ok=True)


def claim_in(path: Path) -> Claim | None:
    """What a lock file says; None where it says nothing that can be understood."""
    try:
        return Claim(**json.loads(read_whole(path)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def is_held(path: Path) -> bool:
    """Whether a process has a lock, found without writing anything."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        return _cannot_be_taken(path)
    if path.is_symlink():
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES)
    finally:
        os.close(descriptor)
    return False


def _cannot_be_taken(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with FileLock(path).acquire(blocking=False):
            return False
    except Timeout:
        return True
    except OSError:
        return False
