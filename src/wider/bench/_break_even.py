"""Where two curves meet."""

from collections.abc import Sequence

import numpy as np


def break_even(
    positions: Sequence[float], seconds: Sequence[float], rival: Sequence[float]
) -> float | None:
    """The first position at which both take as long, on straight lines between logarithms.

    Args:
        positions: at which both were measured, ascending and above zero.
        seconds: that one takes at each.
        rival: seconds that the other takes at each.

    Returns:
        The position; None where one of them is faster at all of the positions.
    """
    x = np.log(np.asarray(positions, dtype=float))
    lead = np.log(np.asarray(rival, dtype=float) / np.asarray(seconds, dtype=float))
    for left in range(len(x) - 1):
        right = left + 1
        if lead[left] * lead[right] < 0 or lead[right] == 0 != lead[left]:
            share = lead[left] / (lead[left] - lead[right])
            return float(np.exp(x[left] + share * (x[right] - x[left])))
    return None
