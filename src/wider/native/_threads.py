"""Several threads for compiled code: PyTorch's own."""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch

Task = Callable[[int], object]


def in_parallel(task: Task, count: int) -> None:
    """Calls task(0), ..., task(count - 1), each on a thread of its own, and waits for all.

    The task must spend its time in compiled code that releases the interpreter's lock.

    Args:
        task: called with its number.
        count: how many threads; `torch.get_num_threads()` says how many the user wants at most.

    Raises:
        The first error of any call.
    """
    if count == 1:
        task(0)
        return
    # An interrupt may come between two lines of Python where nothing can catch it; a task that did
    # not come to its end must not go unnoticed.
    errors: list[BaseException | None] = [KeyboardInterrupt()] * count

    def guarded(number: int) -> None:
        try:
            task(number)
            errors[number] = None
        except BaseException as error:  # raised again below
            errors[number] = error

    team = _torch_team()
    if team is None:
        list(_pool(count).map(guarded, range(count)))
    else:
        _on_team(team, guarded, count)
    for error in errors:
        if error is not None:
            raise error


def parts(total: int, count: int) -> list[range]:
    """The numbers below `total` in `count` runs whose lengths differ by one at most."""
    edges = [total * number // count for number in range(count + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


def _on_team(team: ctypes.CDLL, task: Task, count: int) -> None:
    body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: _share(team, task, count))
    # No flags; ctypes lets go of the interpreter's lock, which the threads need to call the body.
    team.GOMP_parallel(body, None, count, 0)


def _share(team: ctypes.CDLL, task: Task, count: int) -> None:
    # Inside somebody else's parallel region the team may be smaller than asked for.
    for number in range(team.omp_get_thread_num(), count, team.omp_get_num_threads()):
        task(number)


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
