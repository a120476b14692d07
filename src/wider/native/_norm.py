"""BatchNorm, alone and with the rectifier that follows it."""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wider.native._library import is_available
from wider.native._norm_operators import batch_norm
from wider.native._transforms import is_transformed

Features = Float[Tensor, "batch channels rows columns"]


class BatchNormReLU(nn.BatchNorm2d):
    """max(0, BatchNorm(features) + residual), as a residual block computes it twice.

    In PyTorch's operations; `to_native` makes of it one pass over the features forward and one
    backward. Arguments and attributes are those of `torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Features, residual: Features | None = None) -> Features:  # noqa: A002
        """The outputs; without a residual, nothing is added."""
        normalised = super().forward(input)
        if residual is not None:
            normalised = normalised + residual
        return functional.relu(normalised)


class NativeBatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` in compiled code."""

    def forward(self, input: Features) -> Features:  # noqa: A002
        """The outputs."""
        if not _computes_natively(self, input):
            return super().forward(input)
        return _computed(self, input, None, rectify=False)


class NativeBatchNormReLU(BatchNormReLU):
    """`BatchNormReLU` in compiled code."""

    def forward(self, input: Features, residual: Features | None = None) -> Features:  # noqa: A002
        """The outputs; without a residual, nothing is added."""
        same = residual is None or (residual.shape, residual.dtype) == (input.shape, input.dtype)
        if not same or not _computes_natively(self, input):
            return super().forward(input, residual)
        return _computed(self, input, residual, rectify=True)


def _computes_natively(norm: nn.BatchNorm2d, features: Features) -> bool:
    on_cpu = features.device.type == "cpu" and features.dtype == torch.float32
    # One number per channel has no variance: PyTorch's own says so.
    enough = features.dim() == 4 and features.numel() > features.shape[1] == norm.num_features
    plain = norm.affine and norm.running_mean is not None and norm.weight.dtype == torch.float32
    return is_available() and on_cpu and enough and plain and not is_transformed()


def _computed(
    norm: nn.BatchNorm2d, features: Features, residual: Features | None, *, rectify: bool
) -> Features:
    running = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    out, mean, variance = batch_norm(
        features, residual, norm.weight, norm.bias, *running, norm.eps, norm.training, rectify
    )
    if norm.training:
        count = features.numel() // features.shape[1]
        share = _share_of_the_next_batch(norm)
        with torch.no_grad():
            running[0].lerp_(mean, share)
            running[1].lerp_(variance * (count / (count - 1)), share)
    return out


def _share_of_the_next_batch(norm: nn.BatchNorm2d) -> float:
    """How far the running mean and variance move towards those of the batch; counts the batch."""
    batches = cast(Tensor, norm.num_batches_tracked)
    batches += 1
    # Without a momentum, PyTorch keeps the mean over all batches.
    return 1 / batches.item() if norm.momentum is None else norm.momentum
