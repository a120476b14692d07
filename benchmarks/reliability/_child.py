"""Commands of wider in forked children: what they print, how they end, and that they do end."""

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.reliability._part import Wrong

from wider.cli import start as begin

DONE, BAD_INPUT, DIVERGED = 0, 2, 3
PATIENCE = 60.0  # seconds after which a command hangs
ROOM = 4 << 30  # bytes of memory that a child may take beyond what it shares with its parent
PR_SET_PDEATHSIG = 1
READY = b"\x00"
MAIN = "/wider/cli/_main.py"


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        code: its exit code; the negative number of the signal that it died of.
        out: what it printed to standard output.
        err: the same for standard error.
        hung: whether it had to be killed as it took too long.
    """

    code: int
    out: str
    err: str
    hung: bool

    @property
    def told(self) -> str:
        """For the message of a failure."""
        hung = " (killed, as it hung)" if self.hung else ""
        return f"exit code {self.code}{hung}; standard error ends with: {self.err[-700:]!r}"


class Child:
    """A forked process that runs a function and exits with what it returns.

    Args:
        function: what it runs.
        session: whether it gets a session and a group of its own, with all that it starts.
        room: whether its memory is bounded.
    """

    def __init__(
        self, function: Callable[[], int], *, session: bool = False, room: bool = True
    ) -> None:
        pipes = [os.pipe() for _ in range(3)]
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _be_child(function, [write for _, write in pipes], session, room)
        for _, write in pipes:
            os.close(write)
        self._pidfd = os.pidfd_open(self.pid)
        self._open = {pipe[0]: bytearray() for pipe in pipes}
        self._texts = list(self._open.values())
        self._code: int | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the function has been called."""
        return bool(self._texts[2])

    @property
    def is_running(self) -> bool:
        """Whether it had not ended when this was last looked at."""
        return self._code is None

    def signal(self, number: int) -> None:
        """Sends a signal."""
        if self.is_running:
            signal.pidfd_send_signal(self._pidfd, number)

    def watch(self, until: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Reads what it prints until it ends, something has come about, or a time has come."""
        while self.is_running and not enough():
            left = until - time.monotonic()
            if left <= 0:
                return
            ready, _, _ = select.select([*self._open, self._pidfd], [], [], min(left, 0.02))
            self._read(ready)
            if self._pidfd in ready:
                self._end()

    def end(self, patience: float = PATIENCE) -> Ended:
        """Waits until it ends; kills it where that takes too long."""
        self.watch(time.monotonic() + patience)
        hung = self.is_running
        if hung:
            self.signal(signal.SIGKILL)
            self.watch(time.monotonic() + PATIENCE)
        if self._code is None:
            raise RuntimeError(f"process {self.pid} cannot be killed")
        out, err, _ = (bytes(text).decode(errors="replace") for text in self._texts)
        return Ended(self._code, out, err, hung)

    def _end(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        self._code = os.waitstatus_to_exitcode(status)
        while ready := select.select(list(self._open), [], [], 0)[0]:
            self._read(ready)
        for pipe in [*self._open, self._pidfd]:
            os.close(pipe)
        self._open.clear()

    def _read(self, ready: list[int]) -> None:
        for pipe in set(ready) & set(self._open):
            content = os.read(pipe, 1 << 16)
            if content:
                self._open[pipe] += content
            else:
                os.close(pipe)
                del self._open[pipe]


def _be_child(function: Callable[[], int], pipes: Sequence[int], session: bool, room: bool) -> None:
    code = 1
    try:
        die_with_parent()
        if session:
            os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number, pipe in enumerate(pipes[:2], 1):
            os.dup2(pipe, number)
        # The parent's may be files, in which one can go back and forth.
        sys.stdout, sys.stderr = (os.fdopen(each, "w", 1, closefd=False) for each in (1, 2))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if room:
            limit = _virtual_memory() + ROOM
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        os.write(pipes[2], READY)
        code = function()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt as interrupt:
        frames = traceback.extract_tb(interrupt.__traceback__)
        # Before and after the command, an interrupt is Python's own affair.
        if any(frame.filename.endswith(MAIN) for frame in frames):
            traceback.print_exc()
        code = 130
    except BaseException:  # as Python does
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def die_with_parent() -> None:
    """Has the system kill this process when its parent dies, so that none is left behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _virtual_memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def start(
    arguments: Sequence[object],
    *,
    before: Callable[[], object] = lambda: None,
    session: bool = False,
    room: bool = True,
) -> Child:
    """Starts a command of wider; `before` is called in its process first."""

    def function() -> NoReturn:
        before()
        sys.argv = ["wider", *map(str, arguments)]
        begin()

    return Child(function, session=session, room=room)


def call(
    arguments: Sequence[object],
    *,
    before: Callable[[], object] = lambda: None,
) -> Ended:
    """Runs a command of wider to its end."""
    return start(arguments, before=before).end()


def ask(function: Callable[[], Any]) -> Any:
    """What a function returns that is called in a child, as JSON has it."""

    def told() -> int:
        answer = json.dumps(function())
        sys.stdout.write(answer)
        return 0

    ended = Child(told).end()
    if ended.code != 0:
        raise Wrong(f"the store cannot be looked at: {ended.told}")
    return json.loads(ended.out)


def check_graceful(ended: Ended, *codes: int) -> None:
    """Makes sure that a command ended as it should, and said why where it refused."""
    if ended.hung:
        raise Wrong(f"hangs: {ended.told}")
    if "Traceback" in ended.err or "Traceback" in ended.out:
        raise Wrong(f"a traceback: {ended.told}")
    if ended.code not in codes:
        raise Wrong(f"not one of the exit codes {codes}: {ended.told}")
    lines = [line for line in ended.err.splitlines() if line.startswith("wider: ")]
    if ended.code not in (DONE, DIVERGED) and not lines:
        raise Wrong(f"no line says why: {ended.told}")
