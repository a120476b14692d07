"""Where a curve over a grid of points is highest."""

from collections.abc import Callable
from typing import Any

import numpy as np

from wider.evidence._compare import may_be_best
from wider.evidence._interval import Interval
from wider.evidence._nets import Nets

FEWEST_POINTS = 3


def place_of_best(nets: Nets, place: Callable[[Any], float]) -> Callable[[float], Interval] | None:
    """The place of the best net, as well as a grid can tell.

    A net of the grid stands for the places that are nearer to it than to its neighbours, and an end
    of the grid for nothing beyond it. The interval spans what the nets stand for that may be the
    best: it is never narrower than the grid.

    Args:
        nets: of the grid.
        place: of a net, such as the logarithm of its width.

    Returns:
        From a confidence to the interval; None for a grid of fewer than three nets.
    """
    if len(nets) < FEWEST_POINTS:
        return None
    places = np.array(sorted(place(net) for net in nets))
    borders = np.concatenate([places[:1], (places[:-1] + places[1:]) / 2, places[-1:]])

    def interval(confidence: float) -> Interval:
        candidates = [place(net) for net in may_be_best(nets, 1 - confidence)]
        low = borders[np.searchsorted(places, min(candidates))]
        high = borders[np.searchsorted(places, max(candidates)) + 1]
        return Interval(place(nets.best()), float(low), float(high))

    return interval
