"""Mean distances over random pairs of images, for nets of one number of weights."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64, Num
from torch import Tensor

from wider.errors import InputError
from wider.extras import imported
from wider.randomness import stream
from wider.sparsity import Allocation, allocate
from wider.theory._approximate import approximate_kernel_distance
from wider.theory._check import check_at_least, check_vectors
from wider.theory._kernel_distance import distance_of, mask_moments

if TYPE_CHECKING:
    import pandas as pd

MASK_BATCHES = 16


class Distances(Mapping[str, Num[np.ndarray, " nets"]]):
    """Mean distances of several nets: columns by name, with an entry for each net.

    Args:
        rows: of each net, its entries by column.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def __getitem__(self, column: str) -> Num[np.ndarray, " nets"]:
        return self._columns[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Distances({self._columns})"

    def to_frame(self) -> "pd.DataFrame":
        """The same as a table of pandas, with a row for each net.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return imported("pandas", extra="study").DataFrame(self._columns)


@dataclass(frozen=True)
class Cell:
    """One net of the family: its width and what an allocation leaves each layer of it."""

    width: int
    hidden_connectivity: float
    output_connectivity: float


@dataclass(frozen=True, eq=False)
class MeanDistance:
    """The estimates for one net.

    Attributes:
        row: the cell, the mean distance and its parts, by column.
        samples: of the distance, one without bias from each pair and each batch of masks.
    """

    row: dict[str, Any]
    samples: Float64[np.ndarray, "pairs batches"]


def cell(
    width: int, *, base_width: int, num_features: int, num_classes: int, allocation: Allocation
) -> Cell:
    """The connectivities that an MLP of this width has at the number of weights of the base width.

    Raises:
        InputError: a layer gets no weights, or more than it has; the message says the width.
    """
    hidden, output = (width, num_features), (num_classes, width)
    budget = base_width * (num_features + num_classes)
    try:
        kept = allocate({"hidden.0": hidden, "output": output}, budget, allocation)
    except InputError as error:
        raise InputError(f"width {width} at base width {base_width}: {error}") from error
    return Cell(width, kept["hidden.0"] / np.prod(hidden), kept["output"] / np.prod(output))


def draw_pairs(
    x: Num[Tensor, "images *features"], num_pairs: int, *, seed: int
) -> tuple[Num[Tensor, "pairs numbers"], Num[Tensor, "pairs numbers"]]:
    """Pairs of images, no image twice: at most one pair for every two images."""
    check_at_least(2, num_pairs=num_pairs)
    if len(x) < 4:
        raise InputError(f"x has {len(x)} images; two pairs, the fewest that will do, need 4")
    drawn = torch.randperm(len(x), generator=stream(seed, "theory", "pairs"))
    rows = drawn[: 2 * min(num_pairs, len(x) // 2)].to(x.device)
    images = x[rows].flatten(1)
    check_vectors(x=images)
    return images[0::2], images[1::2]


def mean_distances(
    x: Num[Tensor, "pairs features"],
    y: Num[Tensor, "pairs features"],
    cells: Sequence[Cell],
    *,
    num_masks: int,
    seed: int,
) -> list[MeanDistance]:
    """The mean distance for each cell, from the same pairs and from nested masks.

    Masks are drawn in batches, each with estimates of its own. Their spread over pairs and over
    batches then gives the error of any mean or difference; a variance over the masks of one pair
    would not, since pairs share their masks.
    """
    check_at_least(2 * MASK_BATCHES, num_masks=num_masks)
    return [_mean_distance(x, y, cell, num_masks=num_masks, seed=seed) for cell in cells]


def standard_error(samples: Float64[np.ndarray, "pairs batches"]) -> float:
    """Of the mean, over the choice of pairs and of masks.

    What pairs and masks do together is counted in both terms, so it errs on the large side.
    """
    variances = [
        np.var(samples.mean(axis=axis), ddof=1) / samples.shape[1 - axis] for axis in (0, 1)
    ]
    return float(np.sqrt(sum(variances)))


def _mean_distance(
    x: Num[Tensor, "pairs features"],
    y: Num[Tensor, "pairs features"],
    cell: Cell,
    *,
    num_masks: int,
    seed: int,
) -> MeanDistance:
    num_features = x.shape[1]
    moments = mask_moments(
        x,
        y,
        connectivity=cell.hidden_connectivity,
        num_masks=num_masks // MASK_BATCHES,
        num_batches=MASK_BATCHES,
        generator=stream(seed, "theory", "masks"),
    )
    result = distance_of(moments, width=cell.width, output_connectivity=cell.output_connectivity)
    theorem = distance_of(moments, width=cell.width, output_connectivity=1.0)
    samples = result.distances.T.cpu().numpy()
    row = {
        "width": cell.width,
        "hidden_connectivity": cell.hidden_connectivity,
        "output_connectivity": cell.output_connectivity,
        "distance": float(samples.mean()),
        "standard_error": standard_error(samples),
        "variance": result.variances.mean().item(),
        "squared_bias": result.squared_biases.mean().item(),
        "theorem_1": theorem.distances.mean().item(),
        "equation_6": approximate_kernel_distance(
            num_features, width=cell.width, connectivity=cell.hidden_connectivity
        ),
    }
    return MeanDistance(row, samples)
