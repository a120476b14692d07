"""Which part of a gain is another gain."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from wider.evidence._interval import Evidence, Interval
from wider.evidence._means import Nets
from wider.evidence._selection import Contrast, Differences, differences

Shares = float | Float[np.ndarray, "shares"]

# By which the root is enclosed: to 64^-8 of where it was looked for, which is all digits.
PARTS, ROUNDS = 64, 8


def fraction_of_gain(nets: Nets, part: Contrast, whole: Contrast) -> Evidence | None:
    """The ratio of two mean gains.

    Args:
        nets: those of both contrasts.
        part: gain of one net over the baseline.
        whole: gain of another net over the same baseline.

    Returns:
        The ratio, whose interval has no ends where the whole gain may be nothing; NaN where there
        is no gain to have a part of. None where a net is missing.

    Source:
        Fieller, Some problems in interval estimation, Journal of the Royal Statistical Society B,
        1954: the ratios that a t-test does not reject; the test here is Welch's.
    """
    involved = {*part.coefficients, *whole.coefficients}
    if not involved <= set(nets):
        return None
    nets = nets.where(lambda net: net in involved)
    parts, wholes = (
        np.array([contrast.coefficients.get(net, 0.0) for net in nets])
        for contrast in (part, whole)
    )
    gain = differences(nets, wholes)
    ratio = float(differences(nets, parts).value / gain.value) if gain.value > 0 else math.nan

    def left_over(shares: Shares) -> Differences:
        return differences(nets, parts - np.multiply.outer(shares, wholes))

    def interval(confidence: float) -> Interval:
        risk = (1 - confidence) / 2
        if math.isnan(ratio) or not gain.low(risk) > 0:  # any ratio would do
            return Interval(ratio, -math.inf, math.inf)
        low = _root(lambda shares: left_over(shares).low(risk), ratio, -1.0)
        high = _root(lambda shares: left_over(shares).high(risk), ratio, 1.0)
        return Interval(ratio, low, high)

    return Evidence(interval, nets.fewest_seeds(), part.words)


def _root(end: Callable[[Shares], Shares], start: float, step: float) -> float:
    """Where an end of the interval of what is left over is zero, on one side of a ratio."""
    if not math.isfinite(end(start)):
        return math.copysign(math.inf, step)
    if end(start) * step <= 0:  # an error of zero, to rounding
        return start
    while end(start + step) * step > 0 or not math.isfinite(end(start + step)):
        step *= 2
        if abs(step) > 1e9:
            return math.copysign(math.inf, step)
    low, high = sorted([start, start + step])
    # SciPy would find it, too, but it takes half a second to import what finds roots.
    for _ in range(ROUNDS):
        shares = np.linspace(low, high, PARTS + 1)
        before = np.flatnonzero(np.diff(np.sign(end(shares))))[0]
        low, high = shares[before : before + 2]
    return float((low + high) / 2)
