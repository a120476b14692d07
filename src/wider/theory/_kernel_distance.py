"""The mean squared distance between the kernels of a sparse net and of the infinitely wide one."""

from dataclasses import dataclass

from jaxtyping import Float64, Num
from torch import Tensor

from wider.randomness import stream
from wider.theory._check import check_at_least, check_connectivity, check_pairs
from wider.theory._mask_moments import MaskMoments, mask_moments


@dataclass(frozen=True, eq=False)
class KernelDistance:
    """The mean squared distance of each pair of inputs, and what it is made of.

    All are estimates without bias where masks are sampled, so that means over pairs are right; a
    single squared bias that is close to 0 can come out below it.

    Attributes:
        distances: E[(K - K_inf)^2], the sum of the next two.
        variances: of K over random networks; falls as the net widens.
        squared_biases: (E[K] - K_inf)^2; grows as the net thins out.
        standard_errors: of `distances`, due to the sampled masks; 0 where they are exact. Pairs
            share their masks, so the errors of different pairs are not independent.
    """

    distances: Float64[Tensor, "*pairs"]
    variances: Float64[Tensor, "*pairs"]
    squared_biases: Float64[Tensor, "*pairs"]
    standard_errors: Float64[Tensor, "*pairs"]


def kernel_distance(
    x: Num[Tensor, "pairs features"],
    y: Num[Tensor, "pairs features"],
    *,
    width: int,
    connectivity: float,
    output_connectivity: float = 1.0,
    num_masks: int = 4096,
    seed: int = 0,
) -> KernelDistance:
    """How far the kernel of a random net with one hidden layer is from the infinitely wide one's.

    The net is f(x) = n^-1/2 v.relu(d^-1/2 U x): width n, d features, no biases. Each weight is
    drawn from N(0, 1/connectivity) with probability `connectivity`, and is 0 otherwise. With the
    last layer integrated out its kernel is K = mean over hidden units of relu relu', and

        E[(K - K_inf)^2] = (E_m[F4] / (a d)^2 / b - (E_m[F2] / (a d))^2) / n     variance
                         + (E_m[F2] / (a d) - K_inf)^2                           squared bias

    with a the connectivity, b the output connectivity, F2 and F4 the Gaussian integrals of
    `arc_cosine` over masked inputs, and m the mask, of which each entry is 1 with probability a.
    b = 1 is Theorem 1 of the paper. b < 1 extends it to the kernel that one output sees, given
    the mask of its own weights: K = sum over hidden units of mask relu relu' / (b n).

    The integrals are exact. So is the mean over masks where connectivity is 1 or there are at
    most 12 features; otherwise masks are sampled. The same seed draws nested masks for all
    connectivities, which makes curves over the width smooth.

    Args:
        x: first inputs of the pairs, on any device.
        y: second inputs, on the same device.
        width: n, hidden units.
        connectivity: of the hidden layer.
        output_connectivity: of the last layer.
        num_masks: how many masks to sample, at least 2.
        seed: of the masks.

    Returns:
        One number for each pair (x[i], y[i]), in 64 bits, with parts and standard error.

    Raises:
        InputError: the inputs do not make pairs or are not finite, or a number is out of range.

    Source:
        Golubeva et al. 2021, Theorem 1; the output connectivity is our own extension.
    """
    check_pairs(x, y)
    check_at_least(1, width=width)
    check_at_least(2, num_masks=num_masks)
    check_connectivity(connectivity=connectivity, output_connectivity=output_connectivity)
    moments = mask_moments(
        x,
        y,
        connectivity=connectivity,
        num_masks=num_masks,
        generator=stream(seed, "theory", "masks"),
    )
    result = distance_of(moments, width=width, output_connectivity=output_connectivity)
    return KernelDistance(
        distances=result.distances[0],
        variances=result.variances[0],
        squared_biases=result.squared_biases[0],
        standard_errors=result.standard_errors[0],
    )


def distance_of(moments: MaskMoments, *, width: int, output_connectivity: float) -> KernelDistance:
    """Theorem 1 and its extension, from means over masks."""
    bias, bias_variance = moments.bias, moments.bias_variance
    units = width * output_connectivity
    mean = moments.kernel + bias
    # The square of a sampled mean is too large by the variance of that mean.
    variances = moments.fourth / units - (mean**2 - bias_variance) / width
    squared_biases = bias**2 - bias_variance
    slope = 2 * (bias - mean / width)  # of the distance, in the bias
    # The square of the slope is too large in the same way, but where it vanishes the square of the
    # error in the bias is left.
    square_of_error = ((1 - 1 / width) * bias_variance) ** 2
    error = (
        moments.fourth_variance / units**2
        + 2 * slope * moments.covariance / units
        + (slope**2 * bias_variance - 2 * square_of_error).maximum(2 * square_of_error)
    )
    return KernelDistance(
        distances=variances + squared_biases,
        variances=variances,
        squared_biases=squared_biases,
        standard_errors=error.clamp_min(0).sqrt(),
    )
