"""Static sparsity: how many weights each layer keeps, which ones, and a module that obeys."""

from wider.sparsity._allocation import Allocation, AllocationName, allocate
from wider.sparsity._convert import BREAK_EVEN, to_masked, to_native
from wider.sparsity._count import connectivity, count_weights
from wider.sparsity._layers import WeightLayer, stored_weight, weight_layers
from wider.sparsity._mask import Mask, mask_of
from wider.sparsity._pattern import Pattern, draw_mask
from wider.sparsity._sparsify import BudgetWarning, sparsify

__all__ = [
    "BREAK_EVEN",
    "Allocation",
    "AllocationName",
    "BudgetWarning",
    "Mask",
    "Pattern",
    "WeightLayer",
    "allocate",
    "connectivity",
    "count_weights",
    "draw_mask",
    "mask_of",
    "sparsify",
    "stored_weight",
    "to_masked",
    "to_native",
    "weight_layers",
]
