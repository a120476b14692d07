"""Layers and nets that store and compute only the non-zero weights."""

from wider.native._computed_weight import computed_weight
from wider.native._dense_conv import NativeConv2d
from wider.native._layers import SlowLayerWarning, SparseConv2d, SparseLayer, SparseLinear
from wider.native._library import NO_KERNELS, compiled_kernels, is_available
from wider.native._mlp import Images, LinearLayer, SparseMLP
from wider.native._norm import BatchNormReLU, NativeBatchNorm2d, NativeBatchNormReLU

__all__ = [
    "NO_KERNELS",
    "BatchNormReLU",
    "Images",
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
]
