"""BatchNorm with what follows it, on features of (images, channels, positions).

All passes run through memory in its order, image by image. The loops over the positions of one
channel are what LLVM turns into vectors by itself; sums over images are in double precision.
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
def _deviations(numbers, centre):
    total, squares = ZERO, ZERO
    for i in range(len(numbers)):
        deviation = numbers[i] - centre
        total += deviation
        squares += deviation * deviation
    return total, squares


@compiled
def _affine(out, numbers, factor, addend, lowest):
    for i in range(len(out)):
        result = numbers[i] * factor + addend
        out[i] = lowest if result <= lowest else result  # NaN compares false and stays


@compiled
def _affine_and_add(out, numbers, factor, addend, residual, lowest):
    for i in range(len(out)):
        result = numbers[i] * factor + addend + residual[i]
        out[i] = lowest if result <= lowest else result


@compiled
def _slope_sums(slopes, outputs, lowest, numbers, mean):
    total, product = ZERO, ZERO
    for i in range(len(slopes)):
        slope = ZERO if outputs[i] <= lowest else slopes[i]
        total += slope
        product += slope * (numbers[i] - mean)
    return total, product


@compiled
def _combine(out, slopes, outputs, lowest, factor, numbers, other_factor, addend):
    for i in range(len(out)):
        slope = ZERO if outputs[i] <= lowest else slopes[i]
        out[i] = factor * slope + other_factor * numbers[i] + addend


@compiled
def _gate_and_combine(out, gated, slopes, outputs, lowest, factor, numbers, other_factor, addend):
    for i in range(len(out)):
        slope = ZERO if outputs[i] <= lowest else slopes[i]
        gated[i] = slope
        out[i] = factor * slope + other_factor * numbers[i] + addend


@compiled
def _moments(mean, variance, features, first, last):
    """Mean and variance (divided by the number, not by one less) of channels first..last."""
    num_images, num_channels, num_positions = features.shape
    # Deviations from a number near the mean: squares of the numbers themselves would lose digits
    # where the mean is large.
    centre = np.zeros(num_channels, np.float32)
    for channel in range(first, last):
        centre[channel] = _sum(features[0, channel]) / num_positions
    sums = np.zeros((num_channels, 2))
    for image in range(num_images):
        for channel in range(first, last):
            total, squares = _deviations(features[image, channel], centre[channel])
            sums[channel, 0] += total
            sums[channel, 1] += squares
    for channel in range(first, last):
        deviation, square = sums[channel] / (num_images * num_positions)
        mean[channel] = centre[channel] + deviation
        variance[channel] = square - deviation * deviation


@compiled
def forward(
    out, mean, variance, features, residual, weight, bias, epsilon, training, lowest, first, last
):
    """Channels first..last of the output.

    Args:
        out: (images, channels, positions).
        mean, variance: of each channel; found from the features in training, given otherwise.
        features: (images, channels, positions).
        residual: added at the end; no images where there is none.
        weight, bias: of each channel.
        epsilon: added to the variance.
        training: whether mean and variance are to be found.
        lowest: of the outputs: 0 if they are rectified, minus infinity if not.
        first, last: channels of this call.
    """
    if training:
        _moments(mean, variance, features, first, last)
    factor = (weight / np.sqrt(variance + epsilon)).astype(np.float32)
    addend = bias - mean * factor
    # The last images first: they are what the caches still hold.
    for image in range(len(features) - 1, -1, -1):
        for channel in range(first, last):
            given = features[image, channel], factor[channel], addend[channel]
            if len(residual) > 0:
                _affine_and_add(out[image, channel], *given, residual[image, channel], lowest)
            else:
                _affine(out[image, channel], *given, lowest)


@compiled
def backward(
    result, gated, weight_gradient, bias_gradient, slopes, outputs, features,
    weight, mean, variance, epsilon, training, lowest, first, last,
):  # fmt: skip
    """The gradients of channels first..last.

    Args:
        result: of the features.
        gated: of the residual, that is the slopes where the output is above the lowest; no images
            where it is not wanted.
        weight_gradient, bias_gradient: of each channel.
        slopes: the gradient of the output.
        outputs: of the forward pass; any numbers if they were not rectified.
        features, weight, mean, variance, epsilon, training, lowest, first, last: see `forward`.
    """
    num_images, num_channels, num_positions = features.shape
    sums = np.zeros((num_channels, 2))
    for image in range(num_images):
        for channel in range(first, last):
            total, product = _slope_sums(
                slopes[image, channel], outputs[image, channel], lowest,
                features[image, channel], mean[channel],
            )  # fmt: skip
            sums[channel, 0] += total
            sums[channel, 1] += product
    scale = 1 / np.sqrt(variance + np.float64(epsilon))
    bias_gradient[first:last] = sums[first:last, 0]
    weight_gradient[first:last] = (sums[:, 1] * scale)[first:last]
    factor = (weight * scale).astype(np.float32)
    other, addend = np.zeros_like(factor), np.zeros_like(factor)
    if training:  # mean and variance depend on the features too
        means = sums / (num_images * num_positions)
        exact = -weight * scale**3 * means[:, 1]
        other[:] = exact
        addend[:] = -weight * scale * means[:, 0] - exact * mean
    for image in range(num_images - 1, -1, -1):
        for channel in range(first, last):
            given = (
                slopes[image, channel], outputs[image, channel], lowest, factor[channel],
                features[image, channel], other[channel], addend[channel],
            )  # fmt: skip
            if len(gated) > 0:
                _gate_and_combine(result[image, channel], gated[image, channel], *given)
            else:
                _combine(result[image, channel], *given)
