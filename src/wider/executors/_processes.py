"""Processes of this machine, which live and die with the one that started them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, cast

from wider.errors import InputError
from wider.executors._executor import (
    EXECUTORS,
    GOES_ON,
    ONE_THREAD,
    Executor,
    LostWorkerError,
    Result,
    Serial,
    Task,
    answer,
    opened,
    packed,
)

SIZE = 8  # bytes, in front of each message


@EXECUTORS.register("processes")
class WorkerProcesses(Executor):
    """Worker processes that are kept from task to task.

    Each computes on one thread. It ends with this process, however that ends; Ctrl-C does not reach
    it.
    """

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[Result, None, None]:
        """See `Executor`."""
        waiting = iter(tasks)
        answers: _Answers = SimpleQueue()
        workers: list[_Worker] = []
        try:
            for task in islice(waiting, self.jobs):
                workers.append(_Worker(answers))
                workers[-1].give(function, task)
            busy = len(workers)
            while busy:
                worker, sent = answers.get()
                busy -= 1
                result = worker.opened(sent)
                for task in islice(waiting, 1):
                    worker.give(function, task)
                    busy += 1
                yield result
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.close()


def in_workers(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, jobs: int
) -> Generator[Result, None, None]:
    """Calls a function on each task on this machine; see `Executor.map`.

    Args:
        function: see there.
        tasks: the same.
        jobs: worker processes; with 1, all is done in this process.
    """
    return (WorkerProcesses(jobs) if jobs > 1 else Serial()).map(function, tasks)


class _Worker:
    """A process that works for this one. Nothing but two pipes connects them.

    No semaphore and no file in shared memory is left when either is killed, and none is needed.
    """

    def __init__(self, answers: "_Answers") -> None:
        # Not by multiprocessing, which would import the user's script once more in each worker.
        find = f"import sys; sys.path[:] = {sys.path!r}"
        code = f"{find}; from wider.executors._processes import serve; serve()"
        try:
            with _no_ctrl_c():
                self._process = subprocess.Popen(
                    [sys.executable, "-c", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, **ONE_THREAD},
                )
        except OSError as error:
            raise InputError(
                f"no worker process can be started ({error}): use fewer jobs"
            ) from error
        self._tasks = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)
        self._reader = Thread(target=self._read, args=[answers], daemon=True)
        self._reader.start()

    def give(self, function: Callable[[Any], object], task: object) -> None:
        """Sends a task; the answer comes with this worker's name on it."""
        with suppress(BrokenPipeError):  # it has been killed: that is the answer
            _send(self._tasks, packed(function, task))

    def opened(self, sent: bytes | None) -> Any:
        """The result in an answer."""
        if sent is None:
            raise LostWorkerError(self._how_it_ended())
        return opened(sent)

    def kill(self) -> None:
        """Ends it at once, whatever it does."""
        self._process.kill()

    def close(self) -> None:
        """Waits for its end."""
        self._process.wait()
        self._reader.join()
        for pipe in (self._tasks, self._answers):
            with suppress(BrokenPipeError):  # a task that was given to a worker that was killed
                pipe.close()

    def _read(self, answers: "_Answers") -> None:
        for message in _messages(self._answers):
            answers.put((self, message))
        answers.put((self, None))

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return (
                "a worker process was killed (SIGKILL), mostly for want of memory: use fewer jobs; "
                f"{GOES_ON}"
            )
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"a worker process ended {how}; {GOES_ON}"


_Answers = SimpleQueue[tuple[_Worker, bytes | None]]  # no answer: the worker has ended


def serve() -> None:
    """What a worker does: tasks come from standard input, and results go to standard output."""
    # Ctrl-C reaches every process; the first one says so and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a task prints is no result
    if hasattr(os, "register_at_fork"):
        # Else a process that a task forked would seem to be this one when this one is killed.
        os.register_at_fork(after_in_child=answers.close)
    received: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=[tasks, received], daemon=True).start()
    while True:
        sent = answer(received.get())
        with suppress(BrokenPipeError):  # nobody waits any more, and `_receive` ends this process
            _send(answers, sent)


def _receive(tasks: BinaryIO, received: "SimpleQueue[bytes]") -> None:
    """Takes in tasks, and ends this process, whatever it computes, when there is no other side."""
    for message in _messages(tasks):
        received.put(message)
    os._exit(0)


def _send(pipe: BinaryIO, message: bytes) -> None:
    pipe.write(len(message).to_bytes(SIZE, "big") + message)
    pipe.flush()


def _messages(pipe: BinaryIO) -> Iterator[bytes]:
    """Whole messages, until the other side is gone."""
    while len(size := pipe.read(SIZE)) == SIZE:
        message = pipe.read(int.from_bytes(size, "big"))
        if len(message) == int.from_bytes(size, "big"):
            yield message


@contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """A process that is started within does not end by Ctrl-C even before it can say so itself."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
