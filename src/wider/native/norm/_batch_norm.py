"""BatchNorm in compiled code, alone and with the rectifier that follows it."""

import ctypes
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wider.native._operators import (
    IMPLEMENTATIONS,
    Implementation,
    implementation,
    is_implemented,
    is_transformed,
    refuse_onnx,
)
from wider.native._runtime import (
    Job,
    address,
    empty,
    is_available,
    kernel_named,
    pointers,
    run_shares,
    whole_numbers,
)

FEWEST_NUMBERS = 1 << 17  # that are worth another thread

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
    is_known = is_implemented("batch_norm", features) and features.dtype == torch.float32
    # One number per channel has no variance: PyTorch's own says so.
    enough = features.dim() == 4 and features.numel() > features.shape[1] == norm.num_features
    plain = norm.affine and norm.running_mean is not None and norm.weight.dtype == torch.float32
    return is_known and enough and plain and not is_transformed()


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


@torch.library.custom_op("wider::batch_norm", mutates_args=())
def batch_norm(
    features: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    training: bool,
    rectify: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """(features - mean) / sqrt(variance + epsilon) weight + bias + residual, rectified or not.

    Args:
        features: (batch, channels, rows, columns), float32.
        residual: of the same shape, or None.
        weight, bias: of each channel.
        mean, variance: of each channel, where not training.
        epsilon: added to the variance.
        training: whether to use the batch's own mean and variance.
        rectify: whether to set negative outputs to zero.

    Returns:
        The outputs, and the mean and the variance that were used.
    """
    forward = implementation("batch_norm", features).forward
    added = None if residual is None else residual.contiguous()
    given = features.contiguous(), added, weight, bias
    return forward(*given, mean, variance, epsilon, training, rectify)


@batch_norm.register_fake
def _(features, residual, weight, bias, mean, variance, epsilon, training, rectify):
    refuse_onnx()
    out = features.new_empty(features.shape)
    return out, torch.empty_like(mean), torch.empty_like(variance)


@torch.library.custom_op("wider::batch_norm_backward", mutates_args=())
def batch_norm_backward(
    gradient: Tensor,
    outputs: Tensor | None,
    features: Tensor,
    weight: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    training: bool,
    has_residual: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of `batch_norm`.

    Args:
        gradient: of its outputs.
        outputs: what it returned if that was rectified, None otherwise.
        features, weight, epsilon, training: as they were given to it.
        mean, variance: as it returned them.
        has_residual: whether the gradient of the residual is wanted.

    Returns:
        Of the features, of the residual, of the weight, of the bias. That of the residual is empty
        where it is not wanted, and where nothing was rectified: it is `gradient` then.
    """
    backward = implementation("batch_norm", features).backward
    kept = None if outputs is None else outputs.contiguous()
    given = gradient.contiguous(), kept, features.contiguous(), weight
    return backward(*given, mean, variance, epsilon, training, has_residual)


@batch_norm_backward.register_fake
def _(gradient, outputs, features, weight, mean, variance, epsilon, training, has_residual):
    is_empty = outputs is None or not has_residual
    of_features = features.new_empty(features.shape)
    of_residual = features.new_empty(0 if is_empty else features.shape[0], *features.shape[1:])
    return of_features, of_residual, torch.empty_like(weight), torch.empty_like(weight)


def _remember(ctx, inputs, output) -> None:
    features, residual, weight, _, _, _, ctx.epsilon, ctx.training, ctx.rectify = inputs
    outputs, mean, variance = output
    ctx.has_residual = residual is not None
    ctx.save_for_backward(features, weight, mean, variance, outputs if ctx.rectify else None)


def _gradients(ctx, gradient: Float[Tensor, "batch channels rows columns"], *_):
    features, weight, mean, variance, outputs = ctx.saved_tensors
    of_features, of_residual, of_weight, of_bias = batch_norm_backward(
        gradient, outputs, features, weight, mean, variance, ctx.epsilon, ctx.training,
        ctx.has_residual,
    )  # fmt: skip
    if not ctx.has_residual:
        of_residual = None
    elif not ctx.rectify:
        of_residual = gradient
    return of_features, of_residual, of_weight, of_bias, None, None, None, None, None


batch_norm.register_autograd(_gradients, setup_context=_remember)


class _Norm(Job):
    _fields_ = (
        *pointers("out", "gated", "features", "residual", "slopes", "outputs", "weight", "bias"),
        *pointers("mean", "variance", "weight_gradient", "bias_gradient"),
        ("epsilon", ctypes.c_double),
        *whole_numbers("num_images", "num_channels", "num_positions"),
        *whole_numbers("training", "rectify", "num_shares"),
    )


def _forward(
    features: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    training: bool,
    rectify: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    out = empty(features.shape)
    used_mean, used_variance = mean.clone(), variance.clone()
    job = _described(features, weight, used_mean, used_variance, epsilon, training)
    job.out, job.residual, job.bias = out.data_ptr(), address(residual), bias.data_ptr()
    job.rectify = rectify
    run_shares(kernel_named("norm_forward"), job, job.num_shares)
    return out, used_mean, used_variance


def _backward(
    gradient: Tensor,
    outputs: Tensor | None,
    features: Tensor,
    weight: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    training: bool,
    has_residual: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    result = empty(features.shape)
    gated = empty(features.shape) if outputs is not None and has_residual else None
    of_weight, of_bias = torch.empty_like(weight), torch.empty_like(weight)
    job = _described(features, weight, mean, variance, epsilon, training)
    job.out, job.gated = result.data_ptr(), address(gated)
    job.slopes, job.outputs = gradient.data_ptr(), address(outputs)
    job.weight_gradient, job.bias_gradient = of_weight.data_ptr(), of_bias.data_ptr()
    run_shares(kernel_named("norm_backward"), job, job.num_shares)
    of_residual = features.new_empty(0, *features.shape[1:]) if gated is None else gated
    return result, of_residual, of_weight, of_bias


def _described(
    features: Tensor,
    weight: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    training: bool,
) -> _Norm:
    num_images, num_channels = features.shape[:2]
    return _Norm(
        features=features.data_ptr(),
        weight=weight.data_ptr(),
        mean=mean.data_ptr(),
        variance=variance.data_ptr(),
        epsilon=epsilon,
        num_images=num_images,
        num_channels=num_channels,
        num_positions=features.shape[2:].numel(),
        training=training,
        num_shares=min(
            torch.get_num_threads(), num_channels, 1 + features.numel() // FEWEST_NUMBERS
        ),
    )


if is_available():
    IMPLEMENTATIONS["batch_norm", "cpu"] = Implementation(_forward, _backward)
