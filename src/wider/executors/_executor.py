"""What an executor is, and what crosses between its processes."""

import os
import pickle
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from wider.errors import InputError
from wider.registry import Registry

# Read by the libraries that compute when they are imported.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
GOES_ON = "the same command goes on from what is finished"

Task = TypeVar("Task")
Result = TypeVar("Result")


class LostWorkerError(InputError):
    """A worker was killed, or its machine; they are to blame, not the tasks."""


@dataclass(frozen=True)
class Executor(ABC):
    """Calls a function on many tasks, so many at a time.

    Attributes:
        jobs: tasks at a time.
        address: of a cluster; what it looks like, each executor says.
        needs_gpu: each task needs a GPU; a cluster gives it one of its own.
        folder: for files of the executor's own, where all machines see them.
        has_address: it can be given an address.
        shares_disk: tasks see the files of this process.
    """

    jobs: int = 1
    address: str | None = None
    needs_gpu: bool = False
    folder: Path = Path()

    has_address: ClassVar[bool] = False
    shares_disk: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise InputError(f"jobs is {self.jobs}; use at least 1 worker process")
        if self.address is not None and not self.has_address:
            raise InputError(
                f"the address {self.address!r} is of no use to an executor on this machine: leave "
                "it out, or use an executor of a cluster (ray, slurm)"
            )

    @property
    def is_here(self) -> bool:
        """Whether tasks run on this machine."""
        return True

    @abstractmethod
    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[Result, None, None]:
        """Calls a function on each task. To close the generator ends what still runs.

        Args:
            function: what a module can be asked for by name, as are the classes of tasks and
                results.
            tasks: taken when there is room for them; nothing is started where there are none.

        Yields:
            Results, as they come.

        Raises:
            LostWorkerError: a worker was killed.
            InputError: there is no worker to be had.
            Exception: what the function raised.
        """


EXECUTORS: Registry[type[Executor]] = Registry("executor", group="wider.executors")


@EXECUTORS.register("serial")
class Serial(Executor):
    """One task after another, in this process."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jobs > 1:
            raise InputError(
                f"jobs is {self.jobs}, but the executor 'serial' runs one task at a time: use 1, "
                "or another executor (processes, ray, slurm)"
            )

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[Result, None, None]:
        """See `Executor`."""
        yield from map(function, tasks)


def default_executor(jobs: int) -> str:
    """The name of the executor where none is asked for."""
    return "processes" if jobs > 1 else "serial"


def packed(function: Callable[[Any], object], task: object) -> bytes:
    """A task as it is sent to another process of the same user; see `answer`."""
    folders = [os.path.abspath(folder) for folder in sys.path]  # noqa: PTH100 - "" is one
    return pickle.dumps((folders, pickle.dumps((function, task))))


def answer(message: bytes) -> bytes:
    """What comes of a task that was sent: its result, or its error."""
    try:
        folders, call = pickle.loads(message)  # noqa: S301 - from a process of our own
        sys.path += [folder for folder in folders if folder not in sys.path]
        function, task = pickle.loads(call)  # noqa: S301 - the same
        return pickle.dumps((function(task), None))
    except Exception as error:
        told = f"in a worker process:\n{traceback.format_exc()}"
        error.add_note(told)
        try:
            sent = pickle.dumps((None, error))
            pickle.loads(sent)  # noqa: S301 - not every exception can be sent
        except Exception:
            return pickle.dumps((None, RuntimeError(told)))
        return sent


def opened(sent: bytes) -> Any:
    """The result in an answer; its error is raised."""
    result, error = pickle.loads(sent)  # noqa: S301 - from a process of our own
    if error is not None:
        raise error
    return result
