"""Gaussian integrals of two ReLU units."""

import math
from typing import NamedTuple

from jaxtyping import Float64
from torch import Tensor


class ArcCosine(NamedTuple):
    """Means over u ~ N(0, I) for each pair of vectors x, y; both are 0 where a vector is 0.

    Attributes:
        second: E[relu(u.x) relu(u.y)].
        fourth: E[relu(u.x)^2 relu(u.y)^2].
    """

    second: Float64[Tensor, "*pairs"]
    fourth: Float64[Tensor, "*pairs"]


def arc_cosine(
    xx: Float64[Tensor, "*pairs"], yy: Float64[Tensor, "*pairs"], xy: Float64[Tensor, "*pairs"]
) -> ArcCosine:
    """The integrals in closed form: with t the angle between x and y,

        second = |x| |y|     / (2 pi) (sin t + (pi - t) cos t)
        fourth = |x|^2 |y|^2 / (2 pi) (3 sin t cos t + (pi - t) (1 + 2 cos^2 t))

    Args:
        xx: |x|^2.
        yy: |y|^2; broadcast against the others.
        xy: x.y.

    Returns:
        The means, accurate to rounding relative to |x| |y| and its square. The angle alone is not
        near 0 and pi, but there its errors cancel, as the sine comes from the same cosine.

    Source:
        Cho & Saul 2009, Section 2.1; theirs are twice as large.
    """
    norms = xx.sqrt() * yy.sqrt()
    # 0 / 0 where a vector is 0, where the angle does not matter; rounding can exceed 1.
    cosine = (xy / norms).nan_to_num_(0.0).clamp_(-1, 1)
    sine = (1 - cosine).mul_(1 + cosine).sqrt_()
    rest = cosine.neg().acos_()  # pi - t, without the cancellation
    second = (rest * cosine).add_(sine).clamp_min_(0).mul_(norms).div_(2 * math.pi)
    fourth = rest.mul_((cosine * cosine).mul_(2).add_(1)).add_(sine.mul_(cosine), alpha=3)
    fourth.clamp_min_(0).mul_(norms.square_()).div_(2 * math.pi)
    return ArcCosine(second, fourth)
