"""Bottlenecks: wider nets whose number of weights stays, without any zeros."""

from wider.bottleneck._factorise import LinearBottleneck, factorise
from wider.bottleneck._narrow import Narrowable, narrow
from wider.bottleneck._ranks import factorised_weights, ranks

__all__ = [
    "LinearBottleneck",
    "Narrowable",
    "factorise",
    "factorised_weights",
    "narrow",
    "ranks",
]
