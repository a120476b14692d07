"""What is left of a budget after rounding down, handed out one channel at a time."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeVar

Layer = TypeVar("Layer", int, str)


def hand_out(
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
