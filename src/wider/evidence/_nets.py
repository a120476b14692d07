"""Nets as a comparison sees them: a mean over seeds, and how sure that is."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd


class Mean(NamedTuple):
    """Of one net over its seeds.

    Attributes:
        value: the mean.
        variance: of the mean; NaN for one seed.
        seeds: that it is over.
    """

    value: float
    variance: float
    seeds: int


@dataclass(frozen=True)
class Nets:
    """The mean of each net over its own seeds.

    Attributes:
        means: by what names a net: the value of a column, or a tuple of several.
    """

    means: Mapping[Any, Mean]

    def __contains__(self, net: Hashable) -> bool:
        return net in self.means

    def __iter__(self) -> Iterator[Any]:
        return iter(self.means)

    def __len__(self) -> int:
        return len(self.means)

    def __getitem__(self, net: Hashable) -> Mean:
        return self.means[net]

    def best(self) -> Any:
        """The net with the largest mean."""
        return max(self.means, key=lambda net: self.means[net].value)

    def where(self, keep: Callable[[Any], bool]) -> "Nets":
        """Those nets that a condition keeps."""
        return Nets({net: mean for net, mean in self.means.items() if keep(net)})

    def fewest_seeds(self) -> int:
        """Of any of the nets."""
        return min(mean.seeds for mean in self.means.values())


def means_over_seeds(
    table: pd.DataFrame, by: list[str], column: str = "best_test_accuracy", *, factor: float = 1.0
) -> Nets:
    """The nets of a table of runs.

    Args:
        table: one row per run and seed; a run that diverged has the value 0.
        by: the columns that name a net.
        column: the values.
        factor: by which they are multiplied, such as 100 for accuracies in points.
    """
    values = factor * table[column].where(table["status"] == "finished", 0.0)
    groups = values.groupby([table[name] for name in by])
    found = groups.agg(["mean", "sem", "count"])
    found = found[found["count"] > 0]
    rows = found.itertuples(index=False, name=None)
    return Nets(
        {
            net: Mean(float(mean), float(error) ** 2, int(seeds))
            for net, (mean, error, seeds) in zip(found.index, rows, strict=True)
        }
    )
