"""Kernels of dense, infinitely wide ReLU nets, in closed form."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Num
from torch import Tensor

from wider.errors import InputError
from wider.theory._check import check_vectors


def relu_kernel(
    x: Num[Tensor, "rows features"], y: Num[Tensor, "columns features"]
) -> Float64[Tensor, "rows columns"]:
    """The Gaussian-process kernel of an infinitely wide, dense ReLU net with one hidden layer.

    K_inf(x, y) = E[relu(u.x) relu(u.y)] / d with u ~ N(0, I), in NTK parametrisation without
    biases; K_inf(x, x) = |x|^2 / (2 d).

    Args:
        x: input vectors.
        y: input vectors of the same length d.

    Returns:
        The kernel of each row of x with each row of y, in 64 bits.

    Raises:
        InputError: the vectors differ in length, or a number is not finite.

    Source:
        Cho & Saul 2009, Section 2.1; Golubeva et al. 2021, Section 3.
    """
    check_vectors(x=x, y=y)
    x, y = x.to(torch.float64), y.to(torch.float64)
    squares_x, squares_y = x.square().sum(dim=1), y.square().sum(dim=1)
    return arc_cosine(squares_x[:, None], squares_y, x @ y.T).second / x.shape[1]


class DeepKernels(NamedTuple):
    """Both kernels of one infinitely wide net.

    Attributes:
        conjugate: inner products of the last hidden features, divided by their number.
        tangent: inner products of the gradients of an output by all weights.
    """

    conjugate: Float64[Tensor, "p q"]
    tangent: Float64[Tensor, "p q"]


def deep_relu_kernels(
    x: Float[Tensor, "p d"],
    y: Float[Tensor, "q d"] | None = None,
    *,
    depth: int,
    weight_variance: float = 1.0,
) -> DeepKernels:
    """The limits, at infinite width, of the kernels of dense ReLU nets in NTK parametrisation.

    The net is MLP(num_hidden_layers=depth, bias=False, parametrization="ntk"), or that with all
    weights multiplied by sqrt(s), s = weight_variance: weights N(0, s), each layer multiplied by
    1/sqrt(fan_in) in the forward pass, outputs included. With t the angle of x and y below layer l
    (that of K_l-1),

        K_0 = x.y / d
        K_l = s/2 sqrt(K_l-1(x, x) K_l-1(y, y)) (sin t + (pi - t) cos t) / pi    conjugate
        T_0 = K_0
        T_l = K_l + s (pi - t) / (2 pi) T_l-1                                    tangent

    Each layer halves the conjugate kernel at s = 1; s = 2 keeps K(x, x). Gradients are by the
    weights themselves. Where sqrt(s) is a factor of the forward pass instead, and the weights are
    N(0, 1), as elsewhere, the tangent kernel is s times this one and the conjugate kernel the same.

    Args:
        x: vectors, one per row.
        y: the same for the kernels' columns; None for x.
        depth: hidden layers, at least 1.
        weight_variance: of every weight.

    Returns:
        The kernels K_depth and T_depth of all pairs; 0 where a vector is 0. Compare them with
        `empirical_kernel`.

    Raises:
        InputError: x and y are not rows of one length, a depth below 1, or a variance that is not
            a positive number.

    Source:
        Cho & Saul 2009, Section 2 (arc-cosine kernels); Jacot et al. 2018, Theorem 1; Lee et al.
        2019, Appendix C (ReLU in closed form).
    """
    y = x if y is None else y
    _check(x, y, depth, weight_variance)
    # The angle of nearly parallel vectors keeps only half the digits of its cosine.
    x, y = x.double(), y.double()
    lengths = x.norm(dim=1)[:, None] * y.norm(dim=1)
    cosine = (x @ y.T / lengths.masked_fill(lengths == 0, 1)).clamp(-1, 1)
    scale = lengths / x.shape[1]
    conjugate = tangent = scale * cosine
    for _ in range(depth):
        angle = cosine.arccos()
        scale = scale * weight_variance / 2
        cosine = ((angle.sin() + (math.pi - angle) * cosine) / math.pi).clamp(-1, 1)
        conjugate = scale * cosine
        tangent = conjugate + weight_variance * (math.pi - angle) / (2 * math.pi) * tangent
    return DeepKernels(conjugate, tangent)


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


def _check(x: Tensor, y: Tensor, depth: int, weight_variance: float) -> None:
    if x.dim() != 2 or y.dim() != 2 or x.shape[1] != y.shape[1] or x.shape[1] < 1:
        raise InputError(
            f"x is {tuple(x.shape)} and y {tuple(y.shape)}: both must be rows of vectors of one "
            "length, images flattened"
        )
    if depth < 1:
        raise InputError(f"depth is {depth}; a ReLU net needs at least 1 hidden layer")
    if not 0 < weight_variance < math.inf:
        raise InputError(f"weight_variance is {weight_variance}; it must be a positive number")
