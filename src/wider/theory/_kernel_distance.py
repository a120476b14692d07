"""The mean squared distance between the kernels of a sparse net and of the infinitely wide one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float64, Num
from torch import Generator, Tensor

from wider.randomness import stream
from wider.theory._check import check_at_least, check_connectivity, check_pairs
from wider.theory._infinite_width import arc_cosine

LARGEST_EXACT = 12  # features: 4,096 masks, as many as are drawn by default for more features
TILE_ROWS = 512  # pairs, and masks, that are worked on at once
TILE_NUMBERS = 2**22  # of the inputs of one tile: 32 MiB

Block = tuple[Float64[Tensor, "masks features"], Float64[Tensor, "masks"]]


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


class MaskMoments(NamedTuple):
    """For each pair, means over masks m, entries of which are 1 with probability `connectivity`.

    With second and fourth as in `arc_cosine`, and d features:

    Attributes:
        kernel: K_inf, without a mask.
        bias: mean of second(x*m, y*m) / (connectivity d) - K_inf.
        fourth: mean of fourth(x*m, y*m) / (connectivity d)^2.
        bias_variance: variance of `bias` due to the sampled masks; 0 where it is exact.
        fourth_variance: likewise, of `fourth`.
        covariance: likewise, of the two.
    """

    kernel: Float64[Tensor, "1 pairs"]
    bias: Float64[Tensor, "batches pairs"]
    fourth: Float64[Tensor, "batches pairs"]
    bias_variance: Float64[Tensor, "batches pairs"]
    fourth_variance: Float64[Tensor, "batches pairs"]
    covariance: Float64[Tensor, "batches pairs"]


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


def is_exact(num_features: int, connectivity: float) -> bool:
    """Whether the means are over all masks, not over a sample."""
    return connectivity == 1 or num_features <= LARGEST_EXACT


def mask_moments(
    x: Num[Tensor, "pairs features"],
    y: Num[Tensor, "pairs features"],
    *,
    connectivity: float,
    num_masks: int,
    num_batches: int = 1,
    generator: Generator,
) -> MaskMoments:
    """Means over masks, in memory that does not grow with masks times pairs.

    Args:
        x: the pairs' first inputs.
        y: their second.
        connectivity: probability that a mask keeps an entry.
        num_masks: how many to draw for each batch, at least 2; not used where `is_exact`.
        num_batches: how many independent batches of masks to draw, each with means of its own;
            where `is_exact` they are all the same.
        generator: draws the masks on the CPU, the same ones for every device. From equal states
            it draws masks for two connectivities such that one contains the other, which makes
            the error of their difference small.
    """
    rows = max(1, min(TILE_ROWS, TILE_NUMBERS // x.shape[1]))
    start = generator.get_state()
    tiles = [
        _tile_moments(
            first.to(torch.float64),
            second.to(torch.float64),
            connectivity=connectivity,
            num_masks=num_masks,
            num_batches=num_batches,
            rows=rows,
            # Every tile draws the masks again: that costs little and keeps none in memory.
            generator=generator.set_state(start),
        )
        for first, second in zip(x.split(rows), y.split(rows), strict=True)
    ]
    return MaskMoments(*(torch.cat(parts, dim=1) for parts in zip(*tiles, strict=True)))


def _tile_moments(
    x: Float64[Tensor, "pairs features"],
    y: Float64[Tensor, "pairs features"],
    *,
    connectivity: float,
    num_masks: int,
    num_batches: int,
    rows: int,
    generator: Generator,
) -> MaskMoments:
    num_pairs, num_features = x.shape
    exact = is_exact(num_features, connectivity)
    products = (x * x, y * y, x * y)
    kernel = arc_cosine(*(v.sum(dim=1) for v in products)).second / num_features
    effective = connectivity * num_features
    sums = x.new_zeros(5, 1 if exact else num_batches, num_pairs)
    for batch in range(sums.shape[1]):
        for masks, weights in _blocks(num_features, connectivity, num_masks, rows, generator):
            kept, share = masks.to(x.device).T, weights.to(x.device)
            integrals = arc_cosine(*(v @ kept for v in products))
            # The deviation from K_inf, not the kernel: squares of small numbers cancel less.
            bias = integrals.second.div_(effective).sub_(kernel[:, None])
            fourth = integrals.fourth.div_(effective**2)
            terms = (bias, fourth, bias * bias, fourth * fourth, bias * fourth)
            sums[:, batch] += torch.stack([term @ share for term in terms])
    bias, fourth, *squares = sums.expand(-1, num_batches, -1)
    if exact:
        none = torch.zeros_like(bias)
        return MaskMoments(kernel[None], bias, fourth, none, none, none)
    means = (bias * bias, fourth * fourth, bias * fourth)
    variances = [(s - m) / (num_masks - 1) for s, m in zip(squares, means, strict=True)]
    return MaskMoments(
        kernel[None],
        bias,
        fourth,
        bias_variance=variances[0].clamp_min(0),
        fourth_variance=variances[1].clamp_min(0),
        covariance=variances[2],
    )


def _blocks(
    num_features: int, connectivity: float, num_masks: int, rows: int, generator: Generator
) -> Iterator[Block]:
    """Masks, some rows at a time, each with its weight in the mean."""
    if connectivity == 1:
        yield torch.ones(1, num_features, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    elif is_exact(num_features, connectivity):
        for numbers in torch.arange(2**num_features).split(rows):
            masks = (numbers[:, None] >> torch.arange(num_features)) & 1
            kept = masks.sum(dim=1).to(torch.float64)
            weights = connectivity**kept * (1 - connectivity) ** (num_features - kept)
            yield masks.to(torch.float64), weights
    else:
        for start in range(0, num_masks, rows):
            count = min(rows, num_masks - start)
            # In 64 bits, as connectivities can be far below the 2^-24 of 32 bits.
            uniform = torch.rand(count, num_features, dtype=torch.float64, generator=generator)
            weights = torch.full((count,), 1 / num_masks, dtype=torch.float64)
            yield (uniform < connectivity).to(torch.float64), weights
