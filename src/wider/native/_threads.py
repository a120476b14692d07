"""Kernels on several threads: PyTorch's own."""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch

from wider.native._library import Job, library, pointers, whole_numbers

NOT_RUN, DONE = -1, 0


class _Team(Job):
    _fields_ = (
        *pointers("task", "job"),
        *whole_numbers("count"),
        *pointers("own_number", "team_size", "results"),
    )


def run_shares(name: str, job: Job, count: int) -> None:
    """Has a kernel do all shares of a job, each on a thread of its own, and waits for all.

    Args:
        name: of the kernel.
        job: that it takes; says itself that there are so many shares.
        count: how many shares; `torch.get_num_threads()` says how many the user wants at most.

    Raises:
        MemoryError: there was not enough.
    """
    task, address = kernel(name), ctypes.addressof(job)
    if count == 1:
        results = (task(address, 0),)
    elif (team := _torch_team()) is None:
        results = list(_pool(count).map(lambda number: task(address, number), range(count)))
    else:
        results = _on_team(team, task, address, count)
    if set(results) != {DONE}:
        raise MemoryError(f"not enough memory for the scratch of {name}")


@cache
def kernel(name: str) -> Callable[[int, int], int]:
    """A function of the library, of a job's address and the number of a share."""
    function = getattr(library(), name)
    function.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    function.restype = ctypes.c_int
    return function


def _on_team(team: ctypes.CDLL, task: Any, address: int, count: int) -> list[int]:
    results = (ctypes.c_int * count)(*[NOT_RUN] * count)
    given = _Team(
        _address_of(task),
        address,
        count,
        _address_of(team.omp_get_thread_num),
        _address_of(team.omp_get_num_threads),
        ctypes.addressof(results),
    )
    flags = 0
    team.GOMP_parallel(_address_of(library().run_on_team), ctypes.byref(given), count, flags)
    return list(results)


def _address_of(function: Any) -> ctypes.c_void_p:
    return ctypes.cast(function, ctypes.c_void_p)


@cache
def _torch_team() -> ctypes.CDLL | None:
    """The OpenMP library that PyTorch computes with, where it comes with one of GNU's interface.

    Its threads keep spinning for a while after each of PyTorch's operations, so that threads of
    anyone else would have to wait for a processor.
    """
    folder = Path(torch.__file__).parent / "lib"
    for path in sorted(folder.glob("libgomp*.so*")):
        return ctypes.CDLL(str(path))
    return None


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="wider")
