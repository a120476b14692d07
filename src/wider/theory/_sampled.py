"""The distance measured on networks that are drawn at random."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64, Num
from torch import Generator, Tensor

from wider.errors import InputError
from wider.randomness import stream
from wider.theory._check import check_at_least, check_connectivity, check_pairs
from wider.theory._infinite_width import arc_cosine

TILE_ROWS = 1024  # pairs and hidden units that are worked on at once


@dataclass(frozen=True, eq=False)
class SampledDistance:
    """The squared distance of each pair of inputs, averaged over networks.

    Attributes:
        distances: mean of (K - K_inf)^2.
        standard_errors: of that mean, from the networks' spread. Pairs share their networks, so
            the errors of different pairs are not independent.
    """

    distances: Float64[Tensor, "pairs"]
    standard_errors: Float64[Tensor, "pairs"]


def sampled_kernel_distance(
    x: Num[Tensor, "pairs features"],
    y: Num[Tensor, "pairs features"],
    *,
    width: int,
    connectivity: float,
    output_connectivity: float = 1.0,
    num_networks: int = 10,
    seed: int = 0,
    infinite_width: Literal["exact"] | int = "exact",
) -> SampledDistance:
    """What `kernel_distance` predicts, measured on random networks.

    Args:
        x: first inputs of the pairs, on any device.
        y: second inputs, on the same device.
        width: hidden units.
        connectivity: probability that a weight of the hidden layer is there.
        output_connectivity: likewise for the last layer; each network has one output.
        num_networks: how many to draw, at least 2.
        seed: of the networks; the same seed draws the same first networks of a larger number.
        infinite_width: the width of the dense random net that stands for the infinitely wide one,
            or "exact" for `relu_kernel`. A net's own variance, its distance at that width, is in
            the result and not in the standard error, as there is only one such net.

    Returns:
        One number for each pair (x[i], y[i]), in 64 bits, with its standard error.

    Raises:
        InputError: the inputs do not make pairs or are not finite, or a number is out of range.

    Source:
        Golubeva et al. 2021, Section 3.
    """
    check_pairs(x, y)
    check_at_least(1, width=width)
    check_at_least(2, num_networks=num_networks)
    check_connectivity(connectivity=connectivity, output_connectivity=output_connectivity)
    x, y = x.to(torch.float64), y.to(torch.float64)
    limit = _limit(x, y, infinite_width, seed)
    total = torch.zeros_like(limit)
    squares = torch.zeros_like(limit)
    for network in range(num_networks):
        kernel = _network_kernel(
            x,
            y,
            width=width,
            connectivity=connectivity,
            output_connectivity=output_connectivity,
            generator=stream(seed, "theory", "network", network),
        )
        squared_distance = (kernel - limit) ** 2
        total += squared_distance
        squares += squared_distance**2
    mean = total / num_networks
    variance = (squares / num_networks - mean**2).clamp_min(0) / (num_networks - 1)
    return SampledDistance(distances=mean, standard_errors=variance.sqrt())


def _limit(
    x: Float64[Tensor, "pairs features"],
    y: Float64[Tensor, "pairs features"],
    infinite_width: Literal["exact"] | int,
    seed: int,
) -> Float64[Tensor, "pairs"]:
    if infinite_width == "exact":
        sums = ((a * b).sum(dim=1) for a, b in ((x, x), (y, y), (x, y)))
        return arc_cosine(*sums).second / x.shape[1]
    if isinstance(infinite_width, str):
        raise InputError(f'infinite_width is {infinite_width!r}; use "exact" or a width')
    check_at_least(1, infinite_width=infinite_width)
    return _network_kernel(
        x,
        y,
        width=infinite_width,
        connectivity=1.0,
        output_connectivity=1.0,
        generator=stream(seed, "theory", "wide network"),
    )


def _network_kernel(
    x: Float64[Tensor, "pairs features"],
    y: Float64[Tensor, "pairs features"],
    *,
    width: int,
    connectivity: float,
    output_connectivity: float,
    generator: Generator,
) -> Float64[Tensor, "pairs"]:
    """The kernel of one network, given its hidden weights and the mask of its output weights."""
    num_features = x.shape[1]
    kernel = x.new_zeros(len(x))
    for first in range(0, width, TILE_ROWS):
        shape = (min(TILE_ROWS, width - first), num_features)
        weights = torch.randn(shape, dtype=torch.float64, generator=generator)
        kept = torch.rand(shape, dtype=torch.float64, generator=generator) < connectivity
        outgoing = torch.rand(shape[0], dtype=torch.float64, generator=generator)
        hidden = (weights * kept / math.sqrt(connectivity * num_features)).to(x.device).T
        outgoing = (outgoing < output_connectivity).to(x)
        for start in range(0, len(x), TILE_ROWS):
            part = slice(start, start + TILE_ROWS)
            activations = (x[part] @ hidden).relu_().mul_((y[part] @ hidden).relu_())
            kernel[part] += activations @ outgoing
    return kernel / (width * output_connectivity)
