"""Timing several contestants fairly."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch


def measure(
    contestants: Mapping[str, Callable[[], object]], *, repetitions: int
) -> dict[str, list[float]]:
    """Times each contestant once in every repetition, so that drift of the machine meets them all.

    Args:
        contestants: what to time, by name. Each is called once before any is timed: that call
            compiles, allocates and fills caches.
        repetitions: calls that are timed, of each.

    Returns:
        {name: seconds of each call}.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    with _without_garbage_collection():
        for run in contestants.values():
            run()
        for _ in range(repetitions):
            for name, run in contestants.items():
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
    return seconds


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Lets PyTorch compute on so many threads, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Collects now, then not again before the end, when all is as it was."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
