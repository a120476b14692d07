"""How long a layer takes, natively and in PyTorch, as a model that a benchmark fits.

Seconds of a forward and a backward pass are a sum of counts, each times a coefficient: a call, the
multiply-adds, the numbers that are moved, the weights. `wider bench layer-costs` measures layers of
many shapes and fits the coefficients. What they are worth is their ratio, which processors share
more than their speed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

# Images, or positions, that are computed together: as on processors with AVX-512, so that the same
# layers become native everywhere.
LANES = TILE = 16
BLOCK = 16  # channels that PyTorch's convolutions take at a time


class Work(NamedTuple):
    """What one layer has to do.

    Attributes:
        shape: of its dense weight: (out, in), or (out, in, rows, columns) of a convolution.
        num_weights: that it keeps.
        images: of a batch; of a linear layer, rows.
        image: rows and columns of its input; of a linear layer, (1, 1).
        stride, padding: of a convolution, along rows and columns.
    """

    shape: tuple[int, ...]
    num_weights: int
    images: int
    image: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the kernel."""
        return (self.shape[2], self.shape[3]) if len(self.shape) == 4 else (1, 1)

    @property
    def output(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        rows, columns = (
            max(1, (size + 2 * pad - taps) // step + 1)
            for size, pad, taps, step in zip(
                self.image, self.padding, self.kernel, self.stride, strict=True
            )
        )
        return rows, columns


class Coefficients(NamedTuple):
    """Seconds of each count of `native_counts` or `torch_counts`, for one kind of layer."""

    native: Sequence[float]
    torch: Sequence[float]


COEFFICIENTS = {
    "linear": Coefficients(
        native=(3.63e-4, 2.31e-10, 3.38e-9, 8.92e-9),
        torch=(3.5e-4, 1.04e-10, 2.6e-9, 7.55e-9),
    ),
    "convolution": Coefficients(
        native=(6.74e-4, 1.39e-10, 3.12e-9, 1.18e-8),
        torch=(4.2e-4, 7.07e-11, 4.34e-10, 3.97e-8, 1.47e-10, 3.79e-9),
    ),
}
"""Fitted to `results/bench-layer-costs-amd-epyc.csv`."""


def kind_of(work: Work) -> str:
    """Which coefficients a layer has."""
    return "convolution" if len(work.shape) == 4 else "linear"


def native_counts(work: Work, threads: int) -> tuple[float, ...]:
    """A call, multiply-adds, numbers moved in and out of lanes, weights."""
    lanes = 1 if _is_in_columns(work) else LANES
    images = _up_to(work.images, lanes)
    share = min(threads, images // lanes)
    positions = _num_positions(work.output)
    computed = _up_to(positions, TILE) if kind_of(work) == "convolution" else 1
    out_channels, in_channels = work.shape[:2]
    moved = out_channels * positions + in_channels * _num_positions(work.image)
    return (
        1,
        work.num_weights * computed * images / share,
        moved * images / share,
        work.num_weights,
    )


def torch_counts(work: Work, threads: int) -> tuple[float, ...]:
    """A call, multiply-adds, numbers moved, masked weights; of convolutions, two more.

    These are products of an input and an output channel at a position, which a convolution of
    many taps shares among them, and the numbers moved where it has a stride.
    """
    out_channels, in_channels = work.shape[:2]
    num_taps, positions = _num_positions(work.kernel), _num_positions(work.output)
    moved = out_channels * positions + in_channels * _num_positions(work.image)
    masked = 0 if work.num_weights == _size(work) else _size(work)
    if kind_of(work) == "linear":
        products = _size(work) * work.images
        return 1, products / threads, moved * work.images / threads, masked
    products = _up_to(out_channels, BLOCK) * _up_to(in_channels, BLOCK) * positions * work.images
    moved *= work.images
    return (
        1,
        products * num_taps / threads,
        moved / threads,
        masked,
        products / threads,
        moved / threads if max(work.stride) > 1 else 0,
    )


def native_ratio(work: Work, threads: int | None = None) -> float:
    """How many times as long native code takes as PyTorch with a mask, or without any.

    Args:
        work: of a layer.
        threads: that compute; PyTorch's number if None.
    """
    threads = threads or torch.get_num_threads()
    coefficients = COEFFICIENTS[kind_of(work)]
    native = _sum(coefficients.native, native_counts(work, threads))
    return native / _sum(coefficients.torch, torch_counts(work, threads))


def _is_in_columns(work: Work) -> bool:
    """Whether neighbours in a row of one image are computed together, rather than images."""
    whole = work.image[1] % LANES == 0 == work.output[1] % LANES
    return kind_of(work) == "convolution" and whole and 2 * work.images <= LANES


def _sum(coefficients: Sequence[float], counts: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(coefficients, counts, strict=True))


def _size(work: Work) -> int:
    return torch.Size(work.shape).numel()


def _num_positions(sides: tuple[int, int]) -> int:
    return sides[0] * sides[1]


def _up_to(number: int, multiple: int) -> int:
    return max(1, -(-number // multiple)) * multiple
