"""Patterns: which weights of a layer are kept. How many is the allocation's business."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from wider.errors import InputError
from wider.registry import Registry

PatternRule = Callable[[tuple[int, ...], int, torch.Generator], Bool[Tensor, "..."]]
"""The shape of a layer's weights, how many to keep, and a stream -> a mask, True where kept."""

Pattern = str | PatternRule
"""By name (see `PATTERNS`), or a rule."""

PATTERNS: Registry[PatternRule] = Registry("pattern", group="wider.patterns")
"""The rules by name. Another one is a function with the decorator `@PATTERNS.register("name")`."""

# Masks of smaller tensors are those of a permutation, which committed runs have.
LARGEST_PERMUTED = 2**26
CHUNK = 2**20  # entries whose coins are in memory at once
SURELY = 8  # deviations of the number of coins


def draw_mask(
    shape: Sequence[int],
    num_weights: int,
    pattern: Pattern = "uniform",
    *,
    generator: torch.Generator,
) -> Bool[Tensor, "..."]:
    """Draws which weights of one layer are kept.

    - `"uniform"`: every set of `num_weights` entries of the tensor is equally likely.
    - `"io"`: the first two dimensions (input and output) only; kernels are kept or removed as a
      whole, so the number kept is the nearest whole number of kernels, at least one.
    - a rule of your own, by `"module:name"` or itself: see `PatternRule`. It may miss the number,
      as whole kernels do.

    Args:
        shape: the shape of the weight tensor, input and output dimensions first.
        num_weights: how many to keep, from 1 to all.
        pattern: the rule.
        generator: the stream to draw from, on the CPU, so that every device gets the same mask.

    Returns:
        A mask of that shape, True where the weight is kept.

    Raises:
        InputError: the pattern is unknown, or the number is out of range.

    Source:
        Golubeva et al. 2021, Section 2.1 (uniform) and Appendix C (io).
    """
    size = math.prod(shape)
    if not 1 <= num_weights <= size:
        raise InputError(f"cannot keep {num_weights:,} of {size:,} weights; keep 1 to {size:,}")
    rule = PATTERNS.find(pattern) if isinstance(pattern, str) else pattern
    mask = rule(tuple(shape), num_weights, generator)
    is_mask = isinstance(mask, Tensor) and mask.dtype == torch.bool
    if not is_mask or mask.shape != tuple(shape) or not mask.any():
        raise InputError(
            f"pattern {pattern!r} gives no mask of the shape {tuple(shape)}: a rule has to give a "
            "tensor of booleans, some of them True"
        )
    return mask


@PATTERNS.register("uniform")
def _uniform(
    shape: tuple[int, ...], num_weights: int, generator: torch.Generator
) -> Bool[Tensor, "..."]:
    size = math.prod(shape)
    if size > LARGEST_PERMUTED:
        return _uniform_of_many(size, num_weights, generator).reshape(shape)
    mask = torch.zeros(size, dtype=torch.bool)
    mask[torch.randperm(size, generator=generator)[:num_weights]] = True
    return mask.reshape(shape)


def _uniform_of_many(
    size: int, num_weights: int, generator: torch.Generator
) -> Bool[Tensor, " entries"]:
    """Every set of so many entries equally likely, without a permutation of all of them.

    Each entry of the smaller part, kept or removed, is told by a coin of its own. Of the sets with
    the number that comes out, all are equally likely; random entries are then added until the
    number is right. The coins are a little unfair, so that it comes out too low.
    """
    wanted = min(num_weights, size - num_weights)
    deviation = math.sqrt(wanted * (1 - wanted / size))
    chance = max(0.0, wanted - SURELY * deviation) / size
    found = torch.empty(size, dtype=torch.bool)
    missing = wanted
    for chunk in found.split(CHUNK):
        torch.less(torch.rand(len(chunk), generator=generator), chance, out=chunk)
        missing -= int(chunk.sum())
    if missing < 0:  # once in 10^15 layers
        return _uniform_of_many(size, num_weights, generator)
    while missing:
        place = torch.randint(size, (1,), generator=generator)
        missing -= int(~found[place])
        found[place] = True
    return found if wanted == num_weights else ~found


@PATTERNS.register("io")
def _io(
    shape: tuple[int, ...], num_weights: int, generator: torch.Generator
) -> Bool[Tensor, "..."]:
    kernel_size = math.prod(shape[2:])
    # Integer arithmetic for the nearest whole number: round() would send halves to even.
    kernels = max(1, (2 * num_weights + kernel_size) // (2 * kernel_size))
    kept = _uniform(shape[:2], kernels, generator)
    return kept.reshape(*shape[:2], *(1 for _ in shape[2:])).expand(shape).contiguous()
