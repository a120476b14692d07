"""One function on many tasks, in several processes."""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, TypeVar, cast

from wider.errors import InputError

# Read by the libraries that compute when they are imported.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
SIZE = 8  # bytes, in front of each message

Task = TypeVar("Task")
Result = TypeVar("Result")


class LostWorkerError(InputError):
    """A worker process was killed; the machine is to blame, not the tasks."""


def in_workers(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, jobs: int
) -> Generator[Result]:
    """Calls a function on each task, in worker processes that are kept from task to task.

    Each worker computes on one thread. It ends with this process, however that ends, and when the
    generator is closed; Ctrl-C does not reach it.

    Args:
        function: what a module can be asked for by name, as are the classes of tasks and results.
        tasks: taken one by one, as workers get free.
        jobs: worker processes; with 1, all is done in this process.

    Yields:
        Results, as they come.

    Raises:
        LostWorkerError: a worker was killed.
        InputError: a worker cannot be started.
    """
    waiting = iter(tasks)
    if jobs == 1:
        yield from map(function, waiting)
        return
    answers: _Answers = SimpleQueue()
    workers: list[_Worker] = []
    try:
        for task in islice(waiting, jobs):
            workers.append(_Worker(answers))
            workers[-1].give(function, task)
        busy = len(workers)
        while busy:
            worker, answer = answers.get()
            busy -= 1
            result = worker.opened(answer)
            for task in islice(waiting, 1):
                worker.give(function, task)
                busy += 1
            yield result
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.close()


class _Worker:
    """A process that works for this one. Nothing but two pipes connects them.

    No semaphore and no file in shared memory is left when either is killed, and none is needed.
    """

    def __init__(self, answers: "_Answers") -> None:
        # Not by multiprocessing, which would import the user's script once more in each worker.
        code = f"import sys; sys.path[:] = {sys.path!r}; from wider.workers import serve; serve()"
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
            _send(self._tasks, pickle.dumps((function, task)))

    def opened(self, answer: bytes | None) -> Any:
        """The result in an answer."""
        if answer is None:
            raise LostWorkerError(self._how_it_ended())
        result, error = pickle.loads(answer)  # noqa: S301 - from a process of our own
        if error is not None:
            raise error
        return result

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
        goes_on = "the same command goes on from what is finished"
        if code == -signal.SIGKILL:
            return (
                "a worker process was killed (SIGKILL), mostly for want of memory: use fewer jobs; "
                f"{goes_on}"
            )
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"a worker process ended {how}; {goes_on}"


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
        answer = _answer(received.get())
        with suppress(BrokenPipeError):  # nobody waits any more, and `_receive` ends this process
            _send(answers, answer)


def _receive(tasks: BinaryIO, received: "SimpleQueue[bytes]") -> None:
    """Takes in tasks, and ends this process, whatever it computes, when there is no other side."""
    for message in _messages(tasks):
        received.put(message)
    os._exit(0)


def _answer(message: bytes) -> bytes:
    try:
        function, task = pickle.loads(message)  # noqa: S301 - from a process of our own
        return pickle.dumps((function(task), None))
    except Exception as error:
        told = f"in a worker process:\n{traceback.format_exc()}"
        error.add_note(told)
        try:
            answer = pickle.dumps((None, error))
            pickle.loads(answer)  # noqa: S301 - not every exception can be sent
        except Exception:
            return pickle.dumps((None, RuntimeError(told)))
        return answer


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
