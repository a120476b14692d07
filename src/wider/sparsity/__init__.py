"""Static sparsity: how many weights each layer keeps, which ones, and a module that obeys."""

from wider.sparsity._allocation import ALLOCATIONS, Allocation, AllocationRule, allocate
from wider.sparsity._convert import has_native_form, make_native, to_dense, to_masked, to_native
from wider.sparsity._files import load, save
from wider.sparsity._mask import Mask, mask_of
from wider.sparsity._matrices import (
    Matrix,
    all_matrices,
    exclude,
    matrices,
    stored_weight,
    tied_tensors,
    weight_layers,
)
from wider.sparsity._multiply_adds import multiply_adds
from wider.sparsity._native import WORTH, LayerTimes, layer_shapes, layer_times, native_layer
from wider.sparsity._pattern import PATTERNS, Pattern, PatternRule, draw_mask
from wider.sparsity._rules import Piece, WeightLayer, register
from wider.sparsity._sparsify import BudgetWarning, UncountedWarning, sparsify
from wider.sparsity._summary import (
    Summary,
    TensorSummary,
    connectivity,
    count_weights,
    num_embedded,
    summary,
    uncounted,
)

__all__ = [
    "ALLOCATIONS",
    "PATTERNS",
    "WORTH",
    "Allocation",
    "AllocationRule",
    "BudgetWarning",
    "LayerTimes",
    "Mask",
    "Matrix",
    "Pattern",
    "PatternRule",
    "Piece",
    "Summary",
    "TensorSummary",
    "UncountedWarning",
    "WeightLayer",
    "all_matrices",
    "allocate",
    "connectivity",
    "count_weights",
    "draw_mask",
    "exclude",
    "has_native_form",
    "layer_shapes",
    "layer_times",
    "load",
    "make_native",
    "mask_of",
    "matrices",
    "multiply_adds",
    "native_layer",
    "num_embedded",
    "register",
    "save",
    "sparsify",
    "stored_weight",
    "summary",
    "tied_tensors",
    "to_dense",
    "to_masked",
    "to_native",
    "uncounted",
    "weight_layers",
]
