"""Gaussian-process kernels of sparse nets, and the best width before any training."""

from wider.theory._approximate import (
    approximate_best_connectivity,
    approximate_kernel_distance,
    averaged_kernel_distance,
)
from wider.theory._best_width import Advice, best_width, connectivity_grid
from wider.theory._empirical import KernelKind, empirical_kernel
from wider.theory._infinite_width import DeepKernels, deep_relu_kernels, relu_kernel
from wider.theory._kernel_distance import KernelDistance, kernel_distance
from wider.theory._mean_distance import Distances
from wider.theory._sampled import SampledDistance, sampled_kernel_distance

__all__ = [
    "Advice",
    "DeepKernels",
    "Distances",
    "KernelDistance",
    "KernelKind",
    "SampledDistance",
    "approximate_best_connectivity",
    "approximate_kernel_distance",
    "averaged_kernel_distance",
    "best_width",
    "connectivity_grid",
    "deep_relu_kernels",
    "empirical_kernel",
    "kernel_distance",
    "relu_kernel",
    "sampled_kernel_distance",
]
