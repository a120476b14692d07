"""The closed-form approximation of the distance."""

import math

from wider.theory._check import check_at_least, check_connectivity


def approximate_kernel_distance(dim: int, *, width: int, connectivity: float) -> float:
    """The mean squared distance, for independent random inputs with |x|^2 = dim.

    With a the connectivity, n the width and d = dim, where a d is much larger than 1:

        ((pi^2 - 1) / (4 pi^2) + 3 / (4 a d)) / n  +  ((1 / (a d) - 1 / d) / (4 pi))^2

    The first part, the variance, is accurate; the second, the squared bias, is a heuristic that
    real images exceed by far. `kernel_distance` needs neither assumption.

    Args:
        dim: length of an input vector.
        width: hidden units.
        connectivity: of the hidden layer.

    Raises:
        InputError: a number is out of range.

    Source:
        Golubeva et al. 2021, Appendix F.1, equation (6).
    """
    check_at_least(1, dim=dim, width=width)
    check_connectivity(connectivity=connectivity)
    inputs = connectivity * dim
    variance = ((math.pi**2 - 1) / (4 * math.pi**2) + 3 / (4 * inputs)) / width
    return variance + ((1 / inputs - 1 / dim) / (4 * math.pi)) ** 2


def approximate_best_connectivity(dim: int, *, base_width: int) -> float:
    """The connectivity at which equation (6) is smallest, to leading order: cbrt(n0 / c d^2).

    c = 2 (pi^2 - 1), d = dim, and n0, the base width, is the product of width and connectivity,
    which a constant number of weights keeps constant.

    Args:
        dim: length of an input vector.
        base_width: width of the dense net with the same number of weights in the hidden layer.

    Returns:
        The connectivity, at most 1.

    Raises:
        InputError: a number is below 1.

    Source:
        Golubeva et al. 2021, Appendix F.1.
    """
    check_at_least(1, dim=dim, base_width=base_width)
    return min(1.0, math.cbrt(base_width / (2 * (math.pi**2 - 1) * dim**2)))
