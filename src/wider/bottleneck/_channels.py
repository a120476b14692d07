"""How many channels bottlenecks have at a budget: narrowed layers, and factorised ones."""

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Protocol, TypeVar, runtime_checkable

from torch import nn

from wider.errors import InputError

Shapes = Mapping[str, Sequence[int]]
Layer = TypeVar("Layer", int, str)


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


def checked_narrowed(
    narrowed: Sequence[int] | None, usual: tuple[int, ...], net: str
) -> tuple[int, ...]:
    """The widths of a net's narrowed layers, one for each.

    Args:
        narrowed: as the user gave them; None for the usual ones.
        usual: the widths where nothing is narrowed.
        net: what it is, for messages.

    Raises:
        InputError: not as many as the net has narrowed layers, or one is below 1.
    """
    if narrowed is None:
        return usual
    if len(narrowed) != len(usual):
        raise InputError(
            f"narrowed has {len(narrowed)} widths; this {net} has {len(usual)} layers that can be "
            "narrowed, and each needs one"
        )
    if any(width < 1 for width in narrowed):
        raise InputError(f"narrowed is {tuple(narrowed)}; every width must be at least 1")
    return tuple(narrowed)


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
    channels = _hand_out(
        dict(enumerate(rounded(ratio))),
        {index: ratio * width for index, width in enumerate(widths)},
        dict(enumerate(widths)),
        fits=lambda channels: count(tuple(channels.values())) <= num_weights,
    )
    return tuple(channels.values())


def ranks(baseline: Shapes, wide: Shapes) -> dict[str, int]:
    """The channels in each layer's bottleneck that keep the weights of the factorised baseline.

    A weight of m outputs and n inputs (a kernel's taps count as inputs) becomes m x r and r x n,
    r (m + n) weights. In the baseline r = min(m, n), and nothing is lost. In the wide net the
    layer's share is the r that keeps its weights, r = r0 (m0 + n0) / (m + n): where m and n are
    multiplied by f, r is divided by f. Shares are rounded down. What is then left of the net's
    weights goes to single channels, for as long as one fits, each to the layer with the largest
    remainder (its share less its channels), among equals to the first in the module. No layer
    gets more than min(m, n), of which it could make no use.

    Args:
        baseline: {layer: shape of its weight, outputs first}, in the order of the module.
        wide: the same layers in the wide net.

    Returns:
        {layer: channels}, each at least 1; `factorised_weights(wide, channels)` is at most that of
        the baseline, and no single channel can be added.

    Raises:
        InputError: a layer would get less than one channel, or the layers are not the same.

    Example:
        >>> ranks({"0": (5, 784), "2": (10, 5)}, {"0": (80, 784), "2": (10, 80)})
        {'0': 4, '2': 6}

    Source:
        Golubeva et al. 2021, Section 2.2.
    """
    if list(baseline) != list(wide):
        raise InputError(
            f"the baseline has layers {_listed(baseline)}, the wide net {_listed(wide)}: a linear "
            "bottleneck needs the same layers at every width"
        )
    full = {name: min(_sides(shape)) for name, shape in baseline.items()}
    limits = {name: min(_sides(shape)) for name, shape in wide.items()}
    shares = {
        name: Fraction(full[name] * sum(_sides(baseline[name])), sum(_sides(wide[name])))
        for name in wide
    }
    budget = factorised_weights(baseline, full)
    channels = _hand_out(
        {name: min(math.floor(share), limits[name]) for name, share in shares.items()},
        shares,
        limits,
        fits=lambda channels: factorised_weights(wide, channels) <= budget,
    )
    _check(channels, shares, wide)
    return channels


def factorised_weights(shapes: Shapes, channels: Mapping[str, int]) -> int:
    """The number of weights of layers with linear bottlenecks.

    Args:
        shapes: {layer: shape of its weight before the substitution, outputs first}.
        channels: {layer: channels in its bottleneck}.

    Returns:
        The sum of r (m + n) over the layers.
    """
    return sum(channels[name] * sum(_sides(shape)) for name, shape in shapes.items())


def _hand_out(
    channels: Mapping[Layer, int],
    shares: Mapping[Layer, Fraction],
    limits: Mapping[Layer, int],
    fits: Callable[[dict[Layer, int]], bool],
) -> dict[Layer, int]:
    """Adds single channels for as long as one fits, the largest remainder first.

    Args:
        channels: {layer: channels}, in the order of the module.
        shares: what each layer would get if channels could be divided; the remainder of a layer
            is its share less its channels, and of equal ones the first in the module is served.
        limits: the most that each layer can use.
        fits: whether so many channels are within the budget; what does not fit must not fit with
            more channels either.

    Returns:
        {layer: channels}, to which no single channel can be added.
    """
    handed = dict(channels)
    growing = [layer for layer in handed if handed[layer] < limits[layer]]
    while growing:
        layer = max(growing, key=lambda layer: shares[layer] - handed[layer])
        grown = {**handed, layer: handed[layer] + 1}
        if fits(grown):
            handed = grown
        if handed is not grown or handed[layer] == limits[layer]:
            growing.remove(layer)
    return handed


def _sides(shape: Sequence[int]) -> tuple[int, int]:
    """Outputs, and inputs with the kernel's taps."""
    return shape[0], math.prod(shape[1:])


def _listed(shapes: Shapes) -> str:
    return ", ".join(map(repr, shapes))


def _check(channels: dict[str, int], shares: dict[str, Fraction], wide: Shapes) -> None:
    for name, count in channels.items():
        if count < 1:
            outputs, inputs = _sides(wide[name])
            raise InputError(
                f"the bottleneck of layer {name!r} ({outputs} x {inputs}) would have "
                f"{float(shares[name]):.2g} channels at the baseline's number of weights, and it "
                "needs at least one: use a smaller width or a wider baseline"
            )
