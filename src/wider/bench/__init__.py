"""Native against masked execution on this machine, side by side in one process."""

from wider.bench import mlp
from wider.bench._chart import draw
from wider.bench._measure import measure, torch_threads
from wider.bench._suite import Case, Contestant, Suite, run_suite
from wider.errors import InputError

__all__ = [
    "SUITES",
    "Case",
    "Contestant",
    "Suite",
    "draw",
    "find",
    "measure",
    "run_suite",
    "torch_threads",
]

SUITES = {suite.name: suite for suite in (mlp.STEP, mlp.BATCH)}


def find(name: str) -> Suite:
    """The suite of that name.

    Raises:
        InputError: there is none.
    """
    if name not in SUITES:
        known = ", ".join(SUITES)
        raise InputError(f"unknown suite {name!r}; use one of: {known}")
    return SUITES[name]
