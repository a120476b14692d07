"""Named streams of random numbers from one seed, apart from every global generator."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["default_generator_from", "stream"]


def stream(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator of its own for each seed and name.

    Streams of different names are independent, so that drawing more from one of them (a wider
    layer, another epoch) leaves the others as they are.

    Args:
        seed: the one seed of a run; any integer.
        names: what is drawn, from the general to the particular: `("mask", "hidden.0")`.

    Returns:
        A generator seeded with the SHA-256 of seed and names.
    """
    return torch.Generator().manual_seed(_derived_seed(seed, names))


@contextmanager
def default_generator_from(seed: int, *names: str | int) -> Iterator[None]:
    """Lets code that can only draw from PyTorch's default generator draw from a named stream.

    `torch.nn` layers draw their initial weights from the default CPU generator and take no other.
    Its state is put back on leaving, so nothing outside the block can tell that it was used.

    Args:
        seed: as in `stream`.
        names: as in `stream`.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would also reseed every GPU, which fork_rng does not restore.
        torch.default_generator.manual_seed(_derived_seed(seed, names))
        yield


def _derived_seed(seed: int, names: tuple[str | int, ...]) -> int:
    digest = hashlib.sha256(repr((int(seed), *names)).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
