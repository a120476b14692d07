"""Where tasks are run: in this process, in others of this machine, on a cluster."""

from wider.executors import _processes, _ray, _slurm  # noqa: F401 - they register themselves
from wider.executors._executor import (
    EXECUTORS,
    Executor,
    LostWorkerError,
    Serial,
    default_executor,
)
from wider.executors._processes import WorkerProcesses, in_workers

__all__ = [
    "EXECUTORS",
    "Executor",
    "LostWorkerError",
    "Serial",
    "WorkerProcesses",
    "default_executor",
    "in_workers",
]
