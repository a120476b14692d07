"""Bringing pixels to one scale."""

import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor


def mean_and_deviation(
    total: Int64[Tensor, "*places"],
    squares: Int64[Tensor, "*places"],
    count: int,
) -> tuple[Float64[Tensor, "*places"], Float64[Tensor, "*places"]]:
    """What to subtract from pixels between 0 and 1, and what to divide by then.

    Args:
        total: sums of pixel values from 0 to 255.
        squares: sums of their squares.
        count: how many values were added up.
    """
    mean = total.double() / count
    deviation = (squares.double() / count - mean**2).sqrt()
    # What never varies has nothing to be divided by.
    return mean / 255, torch.where(deviation == 0, 1.0, deviation / 255)


def scaled(
    images: UInt8[Tensor, "images channels height width"],
    mean: Float64[Tensor, "channels #height #width"],
    deviation: Float64[Tensor, "channels #height #width"],
) -> Float32[Tensor, "images channels height width"]:
    """Pixels from 0 to 1, less the mean, divided by the deviation."""
    return images.float().div_(255).sub_(mean.float()).div_(deviation.float())
