"""Distances over the width and the last layer's connectivity, at one number of weights."""

import itertools
from collections.abc import Sequence

import pandas as pd
from jaxtyping import Num
from torch import Tensor

from wider.errors import InputError
from wider.theory._check import check_at_least, check_connectivity
from wider.theory._mean_distance import Cell, cell, draw_pairs, mean_distances


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
) -> pd.DataFrame:
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
        One row for each net that the number of weights allows, with the columns of
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
    table = pd.DataFrame([estimate.row for estimate in estimates])
    table.insert(0, "asked", [asked for asked, _ in cells])
    return table
