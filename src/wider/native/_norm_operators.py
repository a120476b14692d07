"""BatchNorm with what follows it as PyTorch operators, known to autograd and torch.compile."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wider.native import _memory, _norm_kernels
from wider.native._arrays import arrays_of
from wider.native._threads import in_parallel, parts
from wider.native._transforms import refuse_onnx

FEWEST_NUMBERS = 1 << 17  # that are worth another thread


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
    flat = _flat(features)
    out = _memory.empty(flat.shape)
    used_mean, used_variance = mean.clone(), variance.clone()
    used = used_mean.numpy(), used_variance.numpy()
    added = _flat(residual) if residual is not None else flat[:0]
    own_weight, own_bias = arrays_of(weight, bias)
    given = own_weight, own_bias, epsilon, training, _lowest(rectify)

    def task(channels: range) -> None:
        _norm_kernels.forward(out, *used, flat, added, *given, channels.start, channels.stop)

    _share_channels(task, flat)
    return torch.from_numpy(out.reshape(features.shape)), used_mean, used_variance


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
    flat, slopes = _flat(features), _flat(gradient)
    rectify = outputs is not None
    kept = _flat(outputs) if rectify else flat  # something of the right size, to be compared
    result = _memory.empty(flat.shape)
    gated = _memory.empty(flat.shape if rectify and has_residual else (0, *flat.shape[1:]))
    of_weight, of_bias = np.empty(flat.shape[1], np.float32), np.empty(flat.shape[1], np.float32)
    written = result, gated, of_weight, of_bias
    (own_weight,) = arrays_of(weight)
    given = own_weight, mean.numpy(), variance.numpy(), epsilon, training, _lowest(rectify)

    def task(channels: range) -> None:
        edges = channels.start, channels.stop
        _norm_kernels.backward(*written, slopes, kept, flat, *given, *edges)

    _share_channels(task, flat)
    return (
        torch.from_numpy(result.reshape(features.shape)),
        torch.from_numpy(gated.reshape(-1, *features.shape[1:])),
        torch.from_numpy(of_weight),
        torch.from_numpy(of_bias),
    )


@batch_norm_backward.register_fake
def _(gradient, outputs, features, weight, mean, variance, epsilon, training, has_residual):
    empty = outputs is None or not has_residual
    of_features = features.new_empty(features.shape)
    of_residual = features.new_empty(0 if empty else features.shape[0], *features.shape[1:])
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


def _lowest(rectify: bool) -> np.float32:
    return np.float32(0) if rectify else np.float32(-np.inf)


def _flat(features: Tensor) -> np.ndarray:
    return features.contiguous().flatten(2).numpy()


def _share_channels(task: Callable[[range], None], features: np.ndarray) -> None:
    num_channels = features.shape[1]
    count = min(torch.get_num_threads(), num_channels, 1 + features.size // FEWEST_NUMBERS)
    shares = parts(num_channels, count)
    in_parallel(lambda number: task(shares[number]), count)
