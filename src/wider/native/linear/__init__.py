"""A linear layer that stores and computes the non-zeros of its weight only."""

from wider.native.linear._cpu import vectors_for
from wider.native.linear._operator import SparseLinear

__all__ = ["SparseLinear", "vectors_for"]
