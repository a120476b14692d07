"""Measuring where nothing has happened yet."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import torch

Findings = dict[str, float]


def in_fresh_process(run: Callable[[], Findings], threads: int) -> Findings:
    """What a call finds in a process of its own, on so many threads."""
    # Spawned: a fork would inherit the memory of this process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_on_threads, run, threads).result()


def _on_threads(run: Callable[[], Findings], threads: int) -> Findings:
    torch.set_num_threads(threads)
    return run()
