"""Closed-form approximations of the distance."""

import math

from wider.theory._check import check_at_least, check_connectivity


def approximate_kernel_distance(
    dim: int, *, width: int, connectivity: float, same_input: bool = False
) -> float:
    """The paper's closed form of the mean squared distance.

    With p the connectivity, n the width, d = dim, two independent N(0, 1) vectors x and y as
    inputs, and p d much larger than 1:

        E[(K(x, y) - K_inf(x, y))^2] = 1 / (4 d) ((1 / sqrt(p) - 1)^2 / 4 + (1 - 1 / pi^2) d / n)
        E[(K(x, x) - K_inf(x, x))^2] = (5 / 4 + 3 / (d p)) / n

    The first term of the first line, the squared bias, keeps a random sign that masking gives to
    the angle between the inputs. Over all masks it averages out almost wholly where the inputs are
    independent, so the form is too large for those where p is small (`averaged_kernel_distance`),
    and nearer to what correlated inputs such as images have. `kernel_distance` is exact.

    Args:
        dim: length of an input vector.
        width: hidden units.
        connectivity: of the hidden layer.
        same_input: whether the kernel is that of an input with itself: the second line.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> wider.theory.approximate_kernel_distance(784, width=128, connectivity=1 / 16)
        0.0024723...

    Source:
        Golubeva et al. 2021, equation (6), for the second line Appendix F.1; equation (4) in the
        later version, arXiv 2010.14495.
    """
    check_at_least(1, dim=dim, width=width)
    check_connectivity(connectivity=connectivity)
    if same_input:
        return (5 / 4 + 3 / (dim * connectivity)) / width
    squared_bias = (connectivity**-0.5 - 1) ** 2 / 4
    variance = (1 - math.pi**-2) * dim / width
    return (squared_bias + variance) / (4 * dim)


def approximate_best_connectivity(dim: int, *, base_width: int) -> float:
    """The connectivity at which equation (6) is smallest, roughly: sqrt(n0 / (4 d)).

    To leading order, and with 1 - 1 / pi^2 taken as 1, as the paper has it. That is width
    2 sqrt(n0 d), with d = dim, and n0, the base width, the product of width and connectivity,
    which a constant number of weights keeps constant.

    Args:
        dim: length of an input vector.
        base_width: width of the dense net with the same number of weights in the hidden layer.

    Returns:
        The connectivity, at most 1.

    Raises:
        InputError: a number is below 1.

    Example:
        >>> wider.theory.approximate_best_connectivity(784, base_width=8)  # width 158
        0.0505...

    Source:
        Golubeva et al. 2021, Section 3, below equation (6), and Appendix F.1.
    """
    check_at_least(1, dim=dim, base_width=base_width)
    return min(1.0, math.sqrt(base_width / (4 * dim)))


def averaged_kernel_distance(dim: int, *, width: int, connectivity: float) -> float:
    """The mean squared distance for independent N(0, 1) inputs, averaged over all masks.

    Not the paper's equation (6), which is meant for the same inputs and keeps a term that this
    average cancels. With a the connectivity, n the width and d = dim, where a d is much larger
    than 1:

        ((pi^2 - 1) / (4 pi^2) + 3 / (4 a d)) / n  +  ((1 / (a d) - 1 / d) / (4 pi))^2

    Args:
        dim: length of an input vector.
        width: hidden units.
        connectivity: of the hidden layer.

    Raises:
        InputError: a number is out of range.

    Source:
        Our own derivation, from Theorem 1 of Golubeva et al. 2021: the squared norms and the angle
        of masked inputs to first order in 1 / (a d), averaged before they are squared.
    """
    check_at_least(1, dim=dim, width=width)
    check_connectivity(connectivity=connectivity)
    inputs = connectivity * dim
    variance = ((math.pi**2 - 1) / (4 * math.pi**2) + 3 / (4 * inputs)) / width
    return variance + ((1 / inputs - 1 / dim) / (4 * math.pi)) ** 2
