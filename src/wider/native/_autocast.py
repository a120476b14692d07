"""Operators of float32 under autocast."""

from collections.abc import Callable

import torch
from torch import Tensor


def under_autocast(operator: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operator's kernel for autocast on the CPU.

    It computes in float32, which is what the native kernels do, and rounds the outputs to the type
    that autocast gives.

    Args:
        operator: whose first argument are the images.
    """

    def kernel(images: Tensor, *others: object) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            outputs = operator(images.float(), *others)
        return outputs.to(torch.get_autocast_dtype("cpu"))

    return kernel
