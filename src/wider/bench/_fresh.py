"""Measuring where nothing has happened yet."""

from collections.abc import Callable
from functools import partial

import torch

from wider.executors import in_workers

Findings = dict[str, float]


def in_fresh_process(run: Callable[[], Findings], threads: int) -> Findings:
    """What a call finds in a process of its own, on so many threads."""
    # Two jobs, as one would be done in this process.
    (findings,) = in_workers(partial(_on_threads, run), [threads], jobs=2)
    return findings


def _on_threads(run: Callable[[], Findings], threads: int) -> Findings:
    torch.set_num_threads(threads)
    return run()
