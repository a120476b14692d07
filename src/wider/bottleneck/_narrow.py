"""How far the narrowed layers of a wide net shrink."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol, runtime_checkable

from torch import nn

from wider.bottleneck._hand_out import hand_out
from wider.errors import InputError


@runtime_checkable
class Narrowable(Protocol):
    """An architecture some of whose layers can be narrowed while its width grows.

    Usually a class: `wider.models.MLP` and `ResNet18` are two. To join, give yours

    - a keyword `narrowed`, the widths of its narrowed layers in the order of the module, None for
      the usual ones;
    - a static method `narrowed_widths`, which says what the usual ones are.

    Between a narrowed layer's inputs and outputs lies an activation, which makes the bottleneck
    non-linear.

    Source:
        Golubeva et al. 2021, Section 2.3.
    """

    def __call__(self, width: int, *, narrowed: Sequence[int] | None) -> nn.Module:
        """The net; further keywords as the architecture likes."""
        ...

    def narrowed_widths(self, width: int) -> tuple[int, ...]:
        """The usual widths of the narrowed layers; gets the same further keywords."""
        ...


def narrow(
    widths: Sequence[int], num_weights: int, *, count: Callable[[tuple[int, ...]], int]
) -> tuple[int, ...]:
    """The widths of narrowed layers with which a net comes closest to a budget, from below.

    All are multiplied by one common ratio, the largest that fits, and rounded down, to at least
    1. What is then left goes to single channels, for as long as one fits, each to the layer with
    the largest remainder (ratio x width less its channels), among equals to the first in the
    module. No layer becomes wider than it usually is.

    Args:
        widths: the usual widths, in the order of the module.
        num_weights: the budget.
        count: the number of weights of the net whose narrowed layers have the widths given; the
            wider they are, the more.

    Returns:
        The narrowed widths; the net is within the budget, and no single channel can be added.

    Raises:
        InputError: the net has no narrowed layers, or is over the budget with one channel in each.

    Source:
        Golubeva et al. 2021, Section 2.3.
    """
    if not widths:
        raise InputError("the net has no layers that could be narrowed")
    fewest = count((1,) * len(widths))
    if fewest > num_weights:
        raise InputError(
            "the narrowed layers would need less than one channel: with one in each, the net has "
            f"{fewest:,} weights, and the budget is {num_weights:,}; use a smaller width or a "
            "wider baseline"
        )

    def rounded(ratio: Fraction) -> tuple[int, ...]:
        return tuple(max(1, math.floor(ratio * width)) for width in widths)

    # At these ratios, and no others, some layer gets its next channel.
    steps = sorted({Fraction(step, width) for width in widths for step in range(1, width + 1)})
    too_large = bisect_right(steps, num_weights, key=lambda ratio: count(rounded(ratio)))
    ratio = steps[too_large - 1]  # the first step is one channel in each layer, and that fits
    channels = hand_out(
        dict(enumerate(rounded(ratio))),
        {index: ratio * width for index, width in enumerate(widths)},
        dict(enumerate(widths)),
        fits=lambda channels: count(tuple(channels.values())) <= num_weights,
    )
    return tuple(channels.values())
