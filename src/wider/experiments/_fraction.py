"""Which part of a gain is another gain, with its uncertainty."""

import math

import numpy as np
from jaxtyping import Float
from scipy import stats

from wider.experiments._claim import Interval


def fraction_of_gain(
    part: Float[np.ndarray, " seeds"],
    whole: Float[np.ndarray, " seeds"],
    confidence: float = 0.95,
) -> Interval:
    """The ratio of two mean gains that were measured in pairs.

    Args:
        part: gain of one net over the baseline, a number per seed.
        whole: gain of another net over the same baseline with the same seeds.
        confidence: of the interval.

    Returns:
        The ratio with its interval; NaN where there is no gain to have a part of, where the
        interval has no ends, or for one seed.

    Source:
        Fieller, Some problems in interval estimation, Journal of the Royal Statistical Society B,
        1954: the ratios that a t-test does not reject.
    """
    count = len(whole)
    if not count or whole.mean() <= 0:
        return Interval(math.nan, math.nan, math.nan)
    ratio = part.mean() / whole.mean()
    if count == 1:
        return Interval(ratio, math.nan, math.nan)
    # The test's statistic, squared, is quadratic in the ratio: square, mixed and constant term.
    quantile = stats.t.ppf((1 + confidence) / 2, count - 1)
    covariance = np.cov(part, whole) * quantile**2 / count
    square = whole.mean() ** 2 - covariance[1, 1]
    mixed = part.mean() * whole.mean() - covariance[0, 1]
    constant = part.mean() ** 2 - covariance[0, 0]
    if square <= 0:  # the whole gain may be nothing: any ratio would do
        return Interval(ratio, math.nan, math.nan)
    spread = math.sqrt(max(mixed**2 - square * constant, 0.0))
    return Interval(ratio, (mixed - spread) / square, (mixed + spread) / square)
