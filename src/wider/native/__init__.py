"""Layers and nets that store and compute only the non-zero weights."""

from wider.native._computed_weight import computed_weight
from wider.native._layers import (
    SlowLayerWarning,
    SparseConv2d,
    SparseLayer,
    SparseLinear,
    is_available,
)
from wider.native._mlp import Images, LinearLayer, SparseMLP
from wider.native._norm import BatchNormReLU, NativeBatchNorm2d, NativeBatchNormReLU

__all__ = [
    "BatchNormReLU",
    "Images",
    "LinearLayer",
    "NativeBatchNorm2d",
    "NativeBatchNormReLU",
    "SlowLayerWarning",
    "SparseConv2d",
    "SparseLayer",
    "SparseLinear",
    "SparseMLP",
    "computed_weight",
    "is_available",
]
