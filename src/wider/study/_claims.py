"""What claims have in common: their subjects, and the gains of wide nets on narrow ones."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any

import pandas as pd

from wider.evidence import Claim, Contrast, Evidence, Nets, best_less_best, means_over_seeds
from wider.study.paper import DATASETS


class Subject(StrEnum):
    """What claims are about: the headings under which readers find them, in their order."""

    WIDTH = "Width at equal weights"
    OPTIMUM = "Where the best width lies"
    WEIGHTS = "Width or weights"
    SPREAD = "How the weights are spread"
    BOTTLENECKS = "Bottlenecks"
    KERNELS = "The kernel's distance"


POINTS = 100.0  # in an accuracy of 1


def accuracies(table: pd.DataFrame, by: list[str], column: str = "best_test_accuracy") -> Nets:
    """Mean accuracies over seeds, in points.

    Args:
        table: one row per run.
        by: the columns that name a net.
        column: "best_test_accuracy", "final_test_accuracy" or "final_train_accuracy".
    """
    return means_over_seeds(table, by, column, factor=POINTS)


def single(nets: Iterable[Any], words: Callable[[Any], str] = "width {}".format) -> list[Contrast]:
    """Each net by itself, as a candidate."""
    return [Contrast({net: 1.0}, words(net)) for net in nets]


def number(value: float, words: str) -> list[Contrast]:
    """A number to be held against, in points."""
    return [Contrast({}, words, value)]


def best_gain(nets: Nets) -> Evidence | None:
    """The best wider net less the narrowest one.

    Args:
        nets: of one family, by their width.

    Returns:
        The evidence; None where there are fewer than two widths.
    """
    if len(nets) < 2:
        return None
    base = min(nets)
    return best_less_best(nets, single(net for net in nets if net > base), single([base]))


def gain_in_family(rows: pd.DataFrame, base_width: Any) -> Evidence | None:
    """The best wider net of a family less its dense baseline; None where that has not been run."""
    nets = accuracies(rows[rows["base_width"] == base_width], ["width"])
    return best_gain(nets) if base_width in nets else None


def gains(nets: Nets, family: Hashable, base_width: int) -> list[Contrast]:
    """The gain of each wider net of one family on its baseline.

    Args:
        nets: by (family, width).
        family: whose nets are wanted.
        base_width: of the family.
    """
    base = (family, base_width)
    return [
        Contrast({net: 1.0, base: -1.0}, f"gain of width {net[1]} on width {base_width}")
        for net in nets
        if net[0] == family and net[1] > base_width and base in nets
    ]


def gain_less_gain(nets: Nets, one: list[Contrast], other: list[Contrast]) -> Evidence | None:
    """The largest of some gains less the largest of others; None where there are none."""
    return best_less_best(nets, one, other) if one and other else None


def for_each(datasets: Iterable[str], claim: Claim) -> tuple[Claim, ...]:
    """The claim for each dataset, whose name stands where the claim's has braces."""
    return tuple(
        replace(
            claim,
            name=claim.name.format(dataset),
            says=claim.says.format(DATASETS[dataset]),
            dataset=dataset,
        )
        for dataset in datasets
    )
