"""Convolutions in compiled code, and how they are planned."""

from wider.native.conv._cpu import plan_for
from wider.native.conv._layouts import Geometry
from wider.native.conv._operator import NativeConv2d, SparseConv2d

__all__ = ["Geometry", "NativeConv2d", "SparseConv2d", "plan_for"]
