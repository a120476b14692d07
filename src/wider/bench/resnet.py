"""Training ResNet-18 at the same number of weights: time along the width, and memory."""

from collections.abc import Callable, Sequence
from functools import cache, partial

from torch import nn

from wider.bench._memory import MemorySuite, training_memory
from wider.bench._peers import TrainingStep, random_images
from wider.bench._suite import DENSE, MASKED, NATIVE, Case, Peer
from wider.bench._times import TimeSuite
from wider.families import Family
from wider.models import ResNet18
from wider.sparsity import multiply_adds, to_native

BASE_WIDTH, WIDTHS = 8, (8, 16, 32, 64)
BATCH_SIZE, SIDE = 128, 32


def step_suite(
    widths: Sequence[int] = WIDTHS,
    base_width: int = BASE_WIDTH,
    batch_size: int = BATCH_SIZE,
    side: int = SIDE,
) -> TimeSuite:
    """A training step of nets of the same number of weights, along their width.

    Args:
        widths: of the nets.
        base_width: of the dense one that has as many weights.
        batch_size: images.
        side: rows and columns of an image.
    """
    shape = (batch_size, 3, side, side)

    def peers(width: int) -> list[Peer]:
        return [
            Peer(name, TrainingStep(make(), random_images(*shape)))
            for name, make in _nets(base_width, width).items()
        ]

    def counts(width: int) -> dict[str, int]:
        return {"multiply_adds": multiply_adds(_masked(base_width, width), shape[1:])[""]}

    return TimeSuite(
        name="resnet-step",
        title=f"A training step of ResNet-18 at {_num_weights(base_width)} weights, by width",
        details=_details(batch_size, side),
        unit="step",
        along="width",
        cases=[
            Case({"width": width}, partial(peers, width), counts=partial(counts, width))
            for width in widths
        ],
        rivals=(MASKED,),
        note="dense PyTorch has no mask, so more weights",
    )


def memory_suite(
    widths: Sequence[int] = WIDTHS,
    base_width: int = BASE_WIDTH,
    batch_size: int = BATCH_SIZE,
    side: int = SIDE,
) -> MemorySuite:
    """What training the same nets takes in memory and on disk; arguments as in `step_suite`."""
    shape = (batch_size, 3, side, side)

    def peers(width: int) -> list[Peer]:
        nets = _nets(base_width, width)
        small = _nets(1, max(1, width // base_width))  # about the same connectivities
        return [
            Peer(name, partial(training_memory, nets[name], small[name], shape))
            for name in (NATIVE, MASKED)
        ]

    return MemorySuite(
        name="memory",
        title=f"Memory of ResNet-18 at {_num_weights(base_width)} weights, by width",
        details=_details(batch_size, side),
        along="width",
        cases=[Case({"width": width}, partial(peers, width)) for width in widths],
    )


def _details(batch_size: int, side: int) -> str:
    return f"Batch {batch_size} of {side}x{side} random images, SGD with momentum and weight decay"


def _num_weights(base_width: int) -> str:
    return f"{_family(base_width).num_weights:,}"


def _nets(base_width: int, width: int) -> dict[str, Callable[[], nn.Module]]:
    """What makes each peer's net; to be sent to another process."""
    return {
        NATIVE: partial(_native, base_width, width),
        MASKED: partial(_masked, base_width, width),
        DENSE: partial(_dense, base_width, width),
    }


def _native(base_width: int, width: int) -> nn.Module:
    return to_native(_masked(base_width, width))


def _masked(base_width: int, width: int) -> nn.Module:
    return _family(base_width).sparse(width)


def _dense(base_width: int, width: int) -> nn.Module:
    return _family(base_width).dense(width)


@cache
def _family(base_width: int) -> Family:
    return Family(ResNet18, base_width=base_width)


STEP, MEMORY = step_suite(), memory_suite()
