"""Layers and nets that store and compute only the non-zero weights."""

from wider.native._layers import SlowLayerWarning, SparseLayer, computed_weight
from wider.native._mlp import Images, LinearLayer, SparseMLP
from wider.native._operators import IMPLEMENTATIONS, Implementation
from wider.native._runtime import LANES, NO_KERNELS, Job, compiled_kernels, is_available, run_shares
from wider.native.conv import NativeConv2d, SparseConv2d
from wider.native.linear import SparseLinear
from wider.native.norm import BatchNormReLU, NativeBatchNorm2d, NativeBatchNormReLU

__all__ = [
    "IMPLEMENTATIONS",
    "LANES",
    "NO_KERNELS",
    "BatchNormReLU",
    "Images",
    "Implementation",
    "Job",
    "LinearLayer",
    "NativeBatchNorm2d",
    "NativeBatchNormReLU",
    "NativeConv2d",
    "SlowLayerWarning",
    "SparseConv2d",
    "SparseLayer",
    "SparseLinear",
    "SparseMLP",
    "compiled_kernels",
    "computed_weight",
    "is_available",
    "run_shares",
]
