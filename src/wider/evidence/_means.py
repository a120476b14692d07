"""Means over seeds, and how sure they are: of nets that are compared, and for tables."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from wider.intervals import t_margin

# What a net is, whatever its seed.
SIZES = ["num_weights", "num_effective_weights", "connectivity", "multiply_adds"]

ACCURACIES = ["best_test_accuracy", "final_test_accuracy", "final_train_accuracy"]
# Of runs that have another metric: bits per byte, a mean squared error.
METRICS = ["best_test_metric", "final_test_metric", "final_train_metric"]


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


def _compared_by(table: pd.DataFrame) -> list[str]:
    """The columns by which the runs of a table are compared."""
    if "final_test_metric" not in table:
        return ACCURACIES
    by_others = table["final_test_metric"].notna() | table["final_train_metric"].notna()
    if by_others.all():
        return METRICS
    return [*ACCURACIES, *METRICS] if by_others.any() else ACCURACIES


def over_seeds(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Sizes of the nets, and means over seeds of the accuracies of the last and the best epoch.

    Diverged runs are counted and left out of the means.

    Args:
        table: one row per run.
        by: the columns that name a point of the figure.

    Returns:
        One row per point: `by`, the columns `SIZES`, `seeds` (finished runs), `diverged`, and for
        each of `ACCURACIES`, or of `METRICS` where runs have another metric, the mean, its
        standard deviation over seeds (`..._deviation`) and the half-width of its 95% t-interval
        (`..._interval`); both are NaN for one seed.
    """
    if table.empty:
        return pd.DataFrame()
    finished = table["status"] == "finished"
    compared = _compared_by(table)
    values = {column: table[column].astype(float).where(finished) for column in compared}
    points = table[[*by, *SIZES]].assign(seeds=finished, **values).groupby(by)
    means, seeds = points[SIZES].first(), points["seeds"].sum()
    mean, deviation = points[compared].mean(), points[compared].std(ddof=1)
    errors = deviation.div(np.sqrt(seeds), axis="index")
    # Of one seed there is neither a deviation nor an interval.
    interval = errors.apply(t_margin, degrees=seeds - 1).where(deviation.notna())
    columns = {"seeds": seeds, "diverged": points.size() - seeds}
    for column in compared:
        columns[column] = mean[column]
        columns[f"{column}_deviation"] = deviation[column]
        columns[f"{column}_interval"] = interval[column]
    return means.assign(**columns).reset_index()
