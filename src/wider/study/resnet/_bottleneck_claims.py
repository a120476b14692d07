"""What the paper says of bottlenecks in ResNet-18: Figure 3."""

import pandas as pd

from wider.evidence import Claim, Evidence, Measure, best_less_best
from wider.study._claims import (
    Subject,
    accuracies,
    best_gain,
    for_each,
    gain_in_family,
    gain_less_gain,
    gains,
    single,
)
from wider.study._lines import with_baselines
from wider.study.resnet.width_claims import ACCURACY, GAIN

CIFAR = ["cifar10", "cifar100"]
SMALLEST = 8  # base width of the family that the paper treats apart


def nonlinear_gain(*, smallest: bool) -> Measure:
    """The best net with non-linear bottlenecks less the dense baseline.

    Args:
        smallest: in the family of base width 8; otherwise in the smallest one above that.
    """

    def measure(table: pd.DataFrame) -> Evidence | None:
        both = with_baselines(table, "method", ["nonlinear_bottleneck"])
        is_wanted = both["base_width"] == SMALLEST if smallest else both["base_width"] > SMALLEST
        rows = both[is_wanted & (both["method"] == "nonlinear_bottleneck")]
        return gain_in_family(rows, rows["base_width"].min())

    return measure


def linear_gain(table: pd.DataFrame) -> Evidence | None:
    """The best net with linear bottlenecks less the narrowest one, in the smallest family."""
    linear = table[table["method"] == "linear_bottleneck"]
    smallest = linear[linear["base_width"] == linear["base_width"].min()]
    return best_gain(accuracies(smallest, ["width"]))


def linear_gain_falls(table: pd.DataFrame) -> Evidence | None:
    """The same gain less that in the largest family."""
    linear = table[table["method"] == "linear_bottleneck"]
    bases = sorted(linear["base_width"].unique().tolist())
    if len(bases) < 2:
        return None
    nets = accuracies(linear, ["base_width", "width"])
    small, large = (gains(nets, base, base) for base in (bases[0], bases[-1]))
    return gain_less_gain(nets, small, large)


def below_original(table: pd.DataFrame) -> Evidence | None:
    """The net before any bottleneck less the best one with linear bottlenecks."""
    base = table["base_width"].min()
    nets = accuracies(table[table["base_width"] == base], ["method", "width"])
    linear = [net for net in nets if net[0] == "linear_bottleneck"]
    original = ("sparse", base)
    if original not in nets or not linear:
        return None
    return best_less_best(
        nets,
        single([original], lambda net: f"the net of width {net[1]}"),
        single(linear, lambda net: f"linear bottlenecks at width {net[1]}"),
    )


FIGURE_3 = (
    *for_each(
        CIFAR,
        Claim(
            name="figure-3-linear-{}",
            says="On {}, width by linear bottlenecks gains, up to a certain width.",
            place="Section 2.2, Figure 3",
            quantity=f"{ACCURACY}: best linear bottlenecks less the narrowest, smallest family",
            measure=linear_gain,
            subject=Subject.BOTTLENECKS,
            above=0,
        ),
    ),
    *for_each(
        CIFAR,
        Claim(
            name="figure-3-small-{}",
            says="On {}, linear bottlenecks help small nets more.",
            place="Section 2.2, Figure 3",
            quantity=f"{ACCURACY}: gain by linear bottlenecks in the smallest family less that in "
            "the largest one",
            measure=linear_gain_falls,
            subject=Subject.BOTTLENECKS,
            above=0,
        ),
    ),
    *for_each(
        CIFAR,
        Claim(
            name="figure-3-below-{}",
            says="On {}, linear bottlenecks stay under the net that they were made from.",
            place="Section 2.2, Figure 3",
            quantity=f"{ACCURACY}: the net without bottlenecks less the best with linear ones",
            measure=below_original,
            subject=Subject.BOTTLENECKS,
            above=0,
        ),
    ),
    *for_each(
        CIFAR,
        Claim(
            name="figure-3-nonlinear-{}",
            says="On {}, width by non-linear bottlenecks gains nothing but in the smallest family.",
            place="Section 2.2, Figure 3",
            quantity=f"{GAIN}, in the smallest family above base width 8; nothing: below 0.5",
            measure=nonlinear_gain(smallest=False),
            subject=Subject.BOTTLENECKS,
            below=0.5,
        ),
    ),
    *for_each(
        CIFAR,
        Claim(
            name="figure-3-nonlinear-smallest-{}",
            says="On {}, with 1.8e5 weights non-linear bottlenecks gain a little.",
            place="Section 2.2, Figure 3",
            quantity=f"{GAIN}, base width 8; a little: above 0, below 1",
            measure=nonlinear_gain(smallest=True),
            subject=Subject.BOTTLENECKS,
            above=0,
            below=1,
        ),
    ),
)
