"""BatchNorm with what follows it as PyTorch operators, known to autograd and torch.compile."""

import ctypes

import torch
from jaxtyping import Float
from torch import Tensor

from wider.native._library import Job, pointers, whole_numbers
from wider.native._memory import empty
from wider.native._threads import run_shares
from wider.native._transforms import refuse_onnx

FEWEST_NUMBERS = 1 << 17  # that are worth another thread


class _Norm(Job):
    _fields_ = (
        *pointers("out", "gated", "features", "residual", "slopes", "outputs", "weight", "bias"),
        *pointers("mean", "variance", "weight_gradient", "bias_gradient"),
        ("epsilon", ctypes.c_double),
        *whole_numbers("num_images", "num_channels", "num_positions"),
        *whole_numbers("training", "rectify", "num_shares"),
    )


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
        features: (batch, channels, rows, columns), float32 on the CPU.
        residual: of the same shape, or None.
        weight, bias: of each channel.
        mean, variance: of each channel, where not training.
        epsilon: added to the variance.
        training: whether to use the batch's own mean and variance.
        rectify: whether to set negative outputs to zero.

    Returns:
        The outputs, and the mean and the variance that were used.
    """
    features, out = features.contiguous(), empty(features.shape)
    used_mean, used_variance = mean.clone(), variance.clone()
    added = None if residual is None else residual.contiguous()
    job = _described(features, weight, used_mean, used_variance, epsilon, training)
    job.out, job.residual, job.bias = out.data_ptr(), _address(added), bias.data_ptr()
    job.rectify = rectify
    run_shares("norm_forward", job, job.num_shares)
    return out, used_mean, used_variance


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
    features, gradient = features.contiguous(), gradient.contiguous()
    kept = None if outputs is None else outputs.contiguous()
    result = empty(features.shape)
    gated = empty(features.shape) if kept is not None and has_residual else None
    of_weight, of_bias = torch.empty_like(weight), torch.empty_like(weight)
    job = _described(features, weight, mean, variance, epsilon, training)
    job.out, job.gated = result.data_ptr(), _address(gated)
    job.slopes, job.outputs = gradient.data_ptr(), _address(kept)
    job.weight_gradient, job.bias_gradient = of_weight.data_ptr(), of_bias.data_ptr()
    run_shares("norm_backward", job, job.num_shares)
    of_residual = features.new_empty(0, *features.shape[1:]) if gated is None else gated
    return result, of_residual, of_weight, of_bias


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


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
