"""Cross-entropy of a tile of images, without leaving their lanes."""

import numpy as np

from wider.native._compiled import compiled
from wider.native._vectors import LANES

HIGHEST, SUM, CHOSEN, ROWS = 0, 1, 2, 3  # rows of scratch: each image's maximum, sum, own score


@compiled
def measure(vectors, scores, num_classes, labels, count, scratch, exponents):
    """Summed loss and hits of the first `count` images; turns scores into probabilities.

    Args:
        vectors: see `_vectors`.
        scores: [class][lane].
        num_classes: how many classes.
        labels: of the images of the tile.
        count: images in the tile; lanes beyond hold anything.
        scratch: (ROWS, lanes) float32.
        exponents: (lanes,) int32.
    """
    tile = len(vectors) * LANES
    hits = 0
    for lane in range(count):
        label = labels[lane]
        scratch[CHOSEN, lane] = scores[label * tile + lane]
        best = 0
        for other in range(1, num_classes):
            if scores[other * tile + lane] > scores[best * tile + lane]:
                best = other
        hits += best == label
    softmax(vectors, scores, num_classes, scratch, exponents)
    loss = 0.0
    for lane in range(count):
        loss += np.log(scratch[SUM, lane]) - (scratch[CHOSEN, lane] - scratch[HIGHEST, lane])
    return loss, hits


@compiled
def softmax(vectors, scores, num_classes, scratch, exponents):
    """Turns scores into probabilities; leaves each image's maximum and sum in scratch."""
    tile = len(vectors) * LANES
    highest, sums = scratch[HIGHEST], scratch[SUM]
    highest[:] = scores[:tile]
    for place in range(tile, num_classes * tile, tile):
        for lane in range(tile):
            score = scores[place + lane]
            highest[lane] = highest[lane] if score <= highest[lane] else score  # keeps NaN
    sums[:] = 0
    for place in range(0, num_classes * tile, tile):
        for lane in range(tile):
            scores[place + lane] -= highest[lane]
        exponential(scores[place : place + tile], exponents)
        for lane in range(tile):
            sums[lane] += scores[place + lane]
    for place in range(0, num_classes * tile, tile):
        for lane in range(tile):
            scores[place + lane] /= sums[lane]


@compiled
def exponential(values, exponents):
    """exp of numbers up to 0, in place, to float32 precision.

    2^n times a polynomial on |r| <= log(2)/2, as in the Cephes library (Moshier 1992): the loop
    has no call and no branch, so that it becomes vectors.
    """
    for k in range(len(values)):
        value = values[k]
        value = np.float32(-87) if value < -87 else value
        whole = np.floor(value * np.float32(1.4426950408889634) + np.float32(0.5))
        rest = value - whole * np.float32(0.693359375)
        rest = rest - whole * np.float32(-2.12194440e-4)
        power = np.float32(1.9875691500e-4)
        power = power * rest + np.float32(1.3981999507e-3)
        power = power * rest + np.float32(8.3334519073e-3)
        power = power * rest + np.float32(4.1665795894e-2)
        power = power * rest + np.float32(1.6666665459e-1)
        power = power * rest + np.float32(5.0000001201e-1)
        values[k] = power * rest * rest + rest + np.float32(1)
        # NaN has no exponent and needs none: it is in the polynomial already.
        known = np.float32(0) if np.isnan(whole) else whole
        exponents[k] = (np.int32(known) + np.int32(127)) << np.int32(23)
    powers_of_two = exponents.view(np.float32)
    for k in range(len(values)):
        values[k] *= powers_of_two[k]
