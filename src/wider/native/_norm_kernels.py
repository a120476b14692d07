"""BatchNorm with what follows it, a channel at a time: all its numbers stay in the second cache.

Features are (images, channels, positions). The loops over the positions of one image are what LLVM
turns into vectors by itself; sums over images are in double precision.
"""

import numpy as np

from wider.native._compiled import compiled

ZERO = np.float32(0)


@compiled
def _sum(numbers):
    total = ZERO
    for i in range(len(numbers)):
        total += numbers[i]
    return total


@compiled
def _squares(numbers, mean):
    total = ZERO
    for i in range(len(numbers)):
        deviation = numbers[i] - mean
        total += deviation * deviation
    return total


@compiled
def _affine(out, numbers, factor, addend):
    for i in range(len(out)):
        out[i] = numbers[i] * factor + addend


@compiled
def _add(out, numbers):
    for i in range(len(out)):
        out[i] += numbers[i]


@compiled
def _rectify(out):
    for i in range(len(out)):
        out[i] = ZERO if out[i] <= ZERO else out[i]  # NaN compares false and stays


@compiled
def _gate(out, slopes, outputs):
    for i in range(len(out)):
        out[i] = ZERO if outputs[i] <= ZERO else slopes[i]


@compiled
def _sum_and_product(slopes, numbers, mean):
    total, product = ZERO, ZERO
    for i in range(len(slopes)):
        total += slopes[i]
        product += slopes[i] * (numbers[i] - mean)
    return total, product


@compiled
def _combine(out, slopes, factor, numbers, other_factor, addend):
    for i in range(len(out)):
        out[i] = factor * slopes[i] + other_factor * numbers[i] + addend


@compiled
def moments(mean, variance, features, first, last):
    """Mean and variance (divided by the number, not by one less) of channels first..last."""
    num_images, _, num_positions = features.shape
    count = num_images * num_positions
    for channel in range(first, last):
        total = 0.0
        for image in range(num_images):
            total += _sum(features[image, channel])
        mean[channel] = total / count
        total = 0.0
        for image in range(num_images):
            total += _squares(features[image, channel], mean[channel])
        variance[channel] = total / count


@compiled
def normalise(out, features, residual, weight, bias, mean, scale, rectify, channel):
    """One channel: out = (features - mean) scale weight + bias + residual, rectified if asked for.

    `residual` has no images where there is none to add.
    """
    factor = weight[channel] * scale
    addend = bias[channel] - mean[channel] * factor
    for image in range(len(features)):
        _affine(out[image, channel], features[image, channel], factor, addend)
        if len(residual) > 0:
            _add(out[image, channel], residual[image, channel])
        if rectify:
            _rectify(out[image, channel])


@compiled
def forward(
    out, mean, variance, features, residual, weight, bias, epsilon, training, rectify, first, last
):
    """Channels first..last of the output.

    Args:
        out: (images, channels, positions).
        mean, variance: of each channel; found from the features in training, given otherwise.
        features: (images, channels, positions).
        residual: added before rectifying; no images where there is none.
        weight, bias: of each channel.
        epsilon: added to the variance.
        training: whether mean and variance are to be found.
        rectify: whether to set negative outputs to zero.
        first, last: channels of this call.
    """
    for channel in range(first, last):
        if training:
            moments(mean, variance, features, channel, channel + 1)
        scale = np.float32(1 / np.sqrt(variance[channel] + epsilon))
        normalise(out, features, residual, weight, bias, mean, scale, rectify, channel)


@compiled
def backward(
    result, gated, weight_gradient, bias_gradient, slopes, outputs, features,
    weight, mean, variance, epsilon, training, rectify, first, last,
):  # fmt: skip
    """The gradients of channels first..last.

    Args:
        result: of the features.
        gated: where rectified, the slopes at positive outputs: the gradient of the residual. Memory
            for one channel will do where there is no residual.
        weight_gradient, bias_gradient: of each channel.
        slopes: the gradient of the output.
        outputs: of the forward pass; read only if rectified.
        features, weight, mean, variance, epsilon, training, rectify, first, last: see `forward`.
    """
    num_images, _, num_positions = features.shape
    count = num_images * num_positions
    for channel in range(first, last):
        scale = 1 / np.sqrt(variance[channel] + epsilon)
        total, product = 0.0, 0.0
        place = min(channel, gated.shape[1] - 1)
        for image in range(num_images):
            own = slopes[image, channel]
            if rectify:
                own = gated[image, place]
                _gate(own, slopes[image, channel], outputs[image, channel])
            parts = _sum_and_product(own, features[image, channel], mean[channel])
            total, product = total + parts[0], product + parts[1]
        bias_gradient[channel], weight_gradient[channel] = total, product * scale
        factor = weight[channel] * scale
        # In training the mean and the variance depend on the features too.
        other = -factor * scale * scale * product / count if training else 0.0
        addend = -factor * total / count - other * mean[channel] if training else 0.0
        for image in range(num_images):
            own = gated[image, place] if rectify else slopes[image, channel]
            _combine(
                result[image, channel], own, np.float32(factor), features[image, channel],
                np.float32(other), np.float32(addend),
            )  # fmt: skip
