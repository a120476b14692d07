"""Bottlenecks: wider nets whose number of weights stays, without any zeros."""

from wider.bottleneck._channels import (
    Narrowable,
    checked_narrowed,
    factorised_weights,
    narrow,
    ranks,
)
from wider.bottleneck._factorise import LinearBottleneck, factorise

__all__ = [
    "LinearBottleneck",
    "Narrowable",
    "checked_narrowed",
    "factorise",
    "factorised_weights",
    "narrow",
    "ranks",
]
