"""The best width, and the best connectivity of the last layer, predicted from the data alone."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num
from torch import Tensor

from wider.errors import InputError
from wider.intervals import t_margin
from wider.sparsity import Allocation
from wider.theory._check import check_at_least, check_connectivity
from wider.theory._mean_distance import (
    MASK_BATCHES,
    Cell,
    Distances,
    MeanDistance,
    cell,
    draw_pairs,
    mean_distances,
    standard_error,
)

NEAR = 1.05


@dataclass(frozen=True, eq=False)
class Advice:
    """The width whose kernel is closest to the infinitely wide net's, and how sure that is.

    Attributes:
        width: with the smallest mean distance. The first or the last of the widths asked for is
            no minimum: the best one may lie beyond.
        distances: an entry for each width in every column. `hidden_connectivity` and
            `output_connectivity` are the layers' own. `distance` is the mean over the pairs and the
            sum of `variance` and `squared_bias`; `standard_error` is its own, over the choice of
            pairs and of masks.
            `theorem_1` is the distance as the paper has it, the last layer's mask integrated out,
            and `equation_6` the paper's closed form, which takes independent N(0, 1) inputs for
            granted.
        indistinguishable: the widths, the best one among them, whose distance exceeds the
            smallest by no more than the sampling error of their difference, at 95% confidence.
        within_5_percent: the widths whose distance is at most 5% above the smallest: whether
            the minimum is flat.
        num_pairs: pairs of images that were drawn.
    """

    width: int
    distances: Distances
    indistinguishable: tuple[int, ...]
    within_5_percent: tuple[int, ...]
    num_pairs: int


def best_width(
    x: Num[Tensor, "images *features"],
    *,
    base_width: int,
    widths: Sequence[int],
    num_classes: int,
    allocation: Allocation = "level",
    num_pairs: int = 5000,
    num_masks: int = 512,
    seed: int = 0,
) -> Advice:
    """Advises a width for an MLP with one hidden layer, without training anything.

    Every width gets the number of weights of the base width, base_width (d + num_classes), which
    the allocation divides between the layers. The advice is the width at which the mean of
    `kernel_distance` over random pairs of images is smallest. All widths share the pairs, and
    their masks are nested. Thousands of pairs are needed where a few unusual images dominate the
    mean: pixel-wise normalised MNIST moves between 40 and 160 with 200 pairs, and not with 5,000.

    Args:
        x: images or other inputs, scaled as they will be for training: the advice depends on it.
        base_width: width of the dense net with the same number of weights.
        widths: to choose from; none below the base width.
        num_classes: outputs of the net.
        allocation: how the weights are divided between "hidden.0" and "output".
        num_pairs: pairs to draw, no image twice; where there are fewer than two images for each,
            as many as there are images for.
        num_masks: masks to draw for each width, at least 32, in 16 batches.
        seed: of pairs and masks.

    Raises:
        InputError: a number is out of range or not finite, or a layer gets no weights.

    Source:
        Golubeva et al. 2021, Section 3; the last layer's mask is our own extension.
    """
    check_at_least(1, base_width=base_width, num_classes=num_classes)
    _check_widths(widths, base_width)
    first, second = draw_pairs(x, num_pairs, seed=seed)
    cells = [
        cell(
            width,
            base_width=base_width,
            num_features=first.shape[1],
            num_classes=num_classes,
            allocation=allocation,
        )
        for width in widths
    ]
    return _advice(mean_distances(first, second, cells, num_masks=num_masks, seed=seed))


def connectivity_grid(
    x: Num[Tensor, "images *features"],
    *,
    base_width: int,
    widths: Sequence[int],
    output_connectivities: Sequence[float],
    num_classes: int,
    num_pairs: int = 5000,
    num_masks: int = 512,
    seed: int = 0,
) -> Distances:
    """The mean distance at every width and last layer's connectivity, as Figure 4 has accuracies.

    All nets have the number of weights of the base width; the hidden layer gets what the last
    layer leaves.

    Args:
        x: images or other inputs, scaled as they will be for training.
        base_width: width of the dense net with the same number of weights.
        widths: of the hidden layer.
        output_connectivities: of the last layer.
        num_classes: outputs of the net.
        num_pairs: as in `best_width`.
        num_masks: as in `best_width`.
        seed: of pairs and masks.

    Returns:
        An entry for each net that the number of weights allows, with the columns of
        `Advice.distances` and, first, `asked`: the last layer's connectivity as asked for, which
        whole weights can miss a little.

    Raises:
        InputError: a number is out of range or not finite, or no net is possible.
    """
    check_at_least(1, base_width=base_width, num_classes=num_classes)
    first, second = draw_pairs(x, num_pairs, seed=seed)
    cells: dict[tuple[float, int], Cell] = {}
    for width, asked in itertools.product(widths, output_connectivities):
        check_at_least(1, width=width)
        check_connectivity(output_connectivity=asked)
        try:
            cells[asked, width] = cell(
                width,
                base_width=base_width,
                num_features=first.shape[1],
                num_classes=num_classes,
                allocation={"output": float(asked)},
            )
        except InputError:  # a corner of the grid that the budget does not allow
            continue
    if not cells:
        raise InputError(
            f"no width of {list(widths)} can have the weights of base width {base_width} with the "
            f"last layer at any connectivity of {list(output_connectivities)}: use widths from the "
            "base width up, and 1.0 for the base width"
        )
    estimates = mean_distances(first, second, list(cells.values()), num_masks=num_masks, seed=seed)
    return Distances(
        [
            {"asked": asked, **estimate.row}
            for (asked, _), estimate in zip(cells, estimates, strict=True)
        ]
    )


def _advice(estimates: list[MeanDistance]) -> Advice:
    table = Distances([estimate.row for estimate in estimates])
    best = int(table["distance"].argmin())
    # One degree of freedom less than batches, for all the error: more than enough.
    excesses = [estimate.samples - estimates[best].samples for estimate in estimates]
    close = [
        excess.mean() <= t_margin(standard_error(excess), MASK_BATCHES - 1) for excess in excesses
    ]
    near = table["distance"] <= NEAR * table["distance"].min()
    return Advice(
        width=int(table["width"][best]),
        distances=table,
        indistinguishable=tuple(table["width"][np.array(close)].tolist()),
        within_5_percent=tuple(table["width"][near].tolist()),
        num_pairs=len(estimates[best].samples),
    )


def _check_widths(widths: Sequence[int], base_width: int) -> None:
    if not widths:
        raise InputError("widths is empty; name at least one width to choose from")
    for width in widths:
        check_at_least(1, width=width)
        if width < base_width:
            raise InputError(
                f"width {width} is below the base width {base_width}, and a net that narrow cannot "
                "hold its weights: use widths from the base width up"
            )
