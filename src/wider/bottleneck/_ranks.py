"""How many channels each linear bottleneck has."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from wider.bottleneck._hand_out import hand_out
from wider.errors import InputError

Shapes = Mapping[str, Sequence[int]]


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
    channels = hand_out(
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
