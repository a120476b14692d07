"""Native against masked execution on this machine, side by side in one process."""

from wider.extras import need

need("study")

from wider.bench import convolution, first_step, inference, layer_costs, linear, mlp, resnet
from wider.bench._memory import MemorySuite, training_memory
from wider.bench._peers import both_passes, random_images, random_weight
from wider.bench._suite import Case, Peer, Suite, measure, read_table, run_suite, torch_threads
from wider.bench._times import TimeSuite, break_even
from wider.errors import InputError

__all__ = [
    "SUITES",
    "Case",
    "MemorySuite",
    "Peer",
    "Suite",
    "TimeSuite",
    "both_passes",
    "break_even",
    "find",
    "measure",
    "random_images",
    "random_weight",
    "read_table",
    "run_suite",
    "torch_threads",
    "training_memory",
]

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        mlp.STEP,
        mlp.BATCH,
        linear.LINEAR,
        convolution.CONVOLUTION,
        resnet.STEP,
        inference.INFERENCE,
        resnet.MEMORY,
        layer_costs.LAYER_COSTS,
        first_step.FIRST_STEP,
    )
}


def find(name: str) -> Suite:
    """The suite of that name.

    Raises:
        InputError: there is none.
    """
    if name not in SUITES:
        known = ", ".join(SUITES)
        raise InputError(f"unknown suite {name!r}; use one of: {known}")
    return SUITES[name]
