"""What the paper says of width against weights: Figure 6 and Table 1."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from wider.evidence import (
    Claim,
    Contrast,
    Evidence,
    Interval,
    Measure,
    at_best,
    best_less_best,
    difference,
    fraction_of_gain,
)
from wider.runs import Method
from wider.study._claims import Subject, accuracies, for_each, number, single
from wider.study._lines import with_baselines
from wider.study.paper import TABLE_1 as PRINTED
from wider.study.resnet.runs import PAPER_DATASETS
from wider.study.resnet.width_claims import ACCURACY, TRAIN

Part = Callable[[Any], Evidence | None]
"""From a width to the part of the dense net's gain that the sparse one of that width has."""
SAME = 0.5  # points around a printed accuracy


def due_to_width(table: pd.DataFrame) -> Evidence | None:
    """The part of the dense net's gain that the sparse one has, where that fits best.

    In the family of the largest base width, which is Figure 1's where that has been run.
    """
    return _where_it_fits(table, lambda widths, part: part(max(widths)))


def due_to_width_everywhere(table: pd.DataFrame) -> Evidence | None:
    """The smallest such part at all widths up to the one where the sparse net fits best."""

    def smallest(widths: list[Any], part: Part) -> Evidence | None:
        parts = {width: each for width in widths if (each := part(width)) is not None}
        if len(parts) < len(widths):
            return None
        found = list(parts.values())
        worst = min(parts, key=lambda width: parts[width].effect.value)

        def interval(confidence: float) -> Interval:
            shared = 1 - (1 - confidence) / len(found)
            return Interval(
                parts[worst].effect.value,
                min(each.interval(confidence).low for each in found),
                min(each.interval(shared).high for each in found),
            )

        words = f"width {worst} of those up to {max(widths)}"
        return Evidence(interval, min(each.seeds for each in found), words)

    return _where_it_fits(table, smallest)


def _where_it_fits(
    table: pd.DataFrame, take: Callable[[list[Any], Part], Evidence | None]
) -> Evidence | None:
    """What is taken of the wider widths up to the one that fits best, and of the part at each."""
    both = with_baselines(table, "method", ["dense"])
    if not {"sparse", "dense"} <= set(both["method"]):
        return None
    base = both["base_width"].max()
    family = both[both["base_width"] == base]
    nets = accuracies(family, ["method", "width"])
    trained = accuracies(family[family["method"] == "sparse"], ["width"], TRAIN)
    wider = trained.where(lambda width: width > base)
    baseline = ("sparse", base)
    if not len(wider) or baseline not in nets:
        return None

    def part(width: Any) -> Evidence | None:
        sparse, dense = (
            Contrast({(method, width): 1.0, baseline: -1.0}, f"width {width}")
            for method in ("sparse", "dense")
        )
        return fraction_of_gain(nets, sparse, dense)

    def measure(fits: Any) -> Evidence | None:
        return take(sorted(width for width in wider if width <= fits), part)

    return at_best(wider, measure, "where the sparse net fits its training images best")


def printed(method: Method, width: int) -> Measure:
    """Our accuracy less the paper's."""
    paper, _ = PRINTED[method][width]

    def measure(table: pd.DataFrame) -> Evidence | None:
        nets = accuracies(with_baselines(table, "method", ["dense"]), ["method", "width"])
        if (method, width) not in nets:
            return None
        ours = single([(method, width)], lambda net: f"{net[0]}, width {net[1]}")
        return best_less_best(nets, ours, number(100 * paper, f"the paper's {paper:.2%}"))

    return measure


def net_less_net(one: tuple[str, int], other: tuple[str, int]) -> Measure:
    """The accuracy of one net of Table 1 less that of another."""

    def measure(table: pd.DataFrame) -> Evidence | None:
        nets = accuracies(with_baselines(table, "method", ["dense"]), ["method", "width"])
        words = f"{one[0]}, width {one[1]} less {other[0]}, width {other[1]}"
        return difference(nets, Contrast({one: 1.0, other: -1.0}, words))

    return measure


FIGURE_6 = (
    *for_each(
        PAPER_DATASETS,
        Claim(
            name="figure-6-{}",
            says=(
                "On {}, most of a wide dense net's gain is due to its width, where the sparse net "
                "fits its training images best."
            ),
            place="Section 2.3, Figure 6",
            quantity="(sparse - baseline) / (dense - baseline) where training accuracy is highest",
            measure=due_to_width,
            subject=Subject.WEIGHTS,
            above=0.5,
            unit="of the gain",
        ),
    ),
    *for_each(
        PAPER_DATASETS,
        Claim(
            name="figure-6-every-{}",
            says=(
                "On {}, most of a wide dense net's gain is due to its width at every width that "
                "still trains."
            ),
            place="Section 4, Figure 6",
            quantity="the smallest (sparse - baseline) / (dense - baseline) of all widths up to "
            "the one with the highest training accuracy",
            measure=due_to_width_everywhere,
            subject=Subject.WEIGHTS,
            above=0.5,
            unit="of the gain",
        ),
    ),
)

TABLE_1 = (
    *(
        Claim(
            name=f"table-1-{method}-{width}",
            says=f"On ImageNet, the {method} net of width {width} reaches {accuracy:.2%}.",
            place="Table 1",
            quantity=f"{ACCURACY} less the paper's",
            measure=printed(method, width),
            subject=Subject.WEIGHTS,
            above=-SAME,
            below=SAME,
            dataset="imagenet",
        )
        for method, entries in PRINTED.items()
        for width, (accuracy, _) in entries.items()
    ),
    Claim(
        name="table-1-sparse-beats-dense",
        says="On ImageNet, the sparse net of width 90 beats the dense one, which has twice its "
        "weights.",
        place="Table 1, Figure 6",
        quantity=f"{ACCURACY}, width 90: sparse less dense",
        measure=net_less_net(("sparse", 90), ("dense", 90)),
        subject=Subject.WEIGHTS,
        above=0,
        dataset="imagenet",
    ),
    Claim(
        name="table-1-too-wide",
        says="On ImageNet, the sparse net of width 256 falls below that of width 181.",
        place="Section 2.3, Table 1",
        quantity=f"{ACCURACY}, sparse: width 181 less width 256",
        measure=net_less_net(("sparse", 181), ("sparse", 256)),
        subject=Subject.OPTIMUM,
        above=0,
        dataset="imagenet",
    ),
)
