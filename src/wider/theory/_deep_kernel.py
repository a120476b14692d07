"""Kernels of dense, infinitely wide ReLU nets of any depth."""

import math
from typing import NamedTuple

from jaxtyping import Float, Float64
from torch import Tensor

from wider.errors import InputError


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
