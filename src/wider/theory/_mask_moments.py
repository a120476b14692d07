"""Means over random masks of the inputs, all masks or a sample of them."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float64, Num
from torch import Generator, Tensor

from wider.theory._arc_cosine import arc_cosine

LARGEST_EXACT = 12  # features: 4,096 masks, as many as are drawn by default for more features
TILE_ROWS = 512  # pairs, and masks, that are worked on at once
TILE_NUMBERS = 2**22  # of the inputs of one tile: 32 MiB

Block = tuple[Float64[Tensor, "masks features"], Float64[Tensor, "masks"]]


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
