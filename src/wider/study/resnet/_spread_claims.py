"""What the paper says of which weights to keep in ResNet-18: Figure 9."""

import pandas as pd

from wider.evidence import Claim, Contrast, Evidence, Measure, best_less_best, difference
from wider.study._claims import Subject, accuracies, for_each, number
from wider.study.resnet.width_claims import ACCURACY

CIFAR = ["cifar10", "cifar100"]
LARGEST_OF_SMALL = 12  # base width of the larger of the two families with a gap


def pattern_lead(*, widest: bool) -> Measure:
    """Uniform less io pattern, in the family of the smallest base width.

    Args:
        widest: at its widest net; otherwise at the narrowest one that is sparse.
    """

    def measure(table: pd.DataFrame) -> Evidence | None:
        base = table["base_width"].min()
        family = table[(table["base_width"] == base) & (table["width"] > base)]
        if family.empty or family["pattern"].nunique() < 2:
            return None
        width = (max if widest else min)(family["width"])
        return difference(
            accuracies(family, ["pattern", "width"]),
            Contrast(
                {("uniform", width): 1, ("io", width): -1},
                f"base width {base}, width {width}: uniform less io",
            ),
        )

    return measure


def largest_gap(table: pd.DataFrame) -> Evidence | None:
    """The largest lead of the uniform pattern at any width of the small families."""
    small = table[table["base_width"] <= LARGEST_OF_SMALL]
    nets = accuracies(small, ["pattern", "base_width", "width"])
    gaps = [
        Contrast(
            {net: 1, ("io", *net[1:]): -1}, f"base width {net[1]}, width {net[2]}: uniform less io"
        )
        for net in nets
        if net[0] == "uniform" and ("io", *net[1:]) in nets
    ]
    return best_less_best(nets, gaps, number(0, "")) if gaps else None


FIGURE_9 = (
    *for_each(
        CIFAR,
        Claim(
            name="figure-9-lead-{}",
            says="On {}, single weights beat whole kernels for small nets at small connectivity.",
            place="Appendix C, Figure 9",
            quantity=f"{ACCURACY}: uniform less io pattern, widest net of the smallest family",
            measure=pattern_lead(widest=True),
            subject=Subject.SPREAD,
            above=0,
        ),
    ),
    *for_each(
        CIFAR,
        Claim(
            name="figure-9-gap-{}",
            says="On {}, single weights lead whole kernels by up to 3 points.",
            place="Appendix C",
            quantity=f"{ACCURACY}: largest lead of uniform over io pattern, base widths up to 12; "
            "3 points: within one",
            measure=largest_gap,
            subject=Subject.SPREAD,
            above=2,
            below=4,
        ),
    ),
    *for_each(
        CIFAR,
        Claim(
            name="figure-9-close-{}",
            says="On {}, both patterns are close at higher connectivity.",
            place="Appendix C, Figure 9",
            quantity=f"{ACCURACY}: uniform less io pattern, first sparse net of the smallest "
            "family; close: within one point",
            measure=pattern_lead(widest=False),
            subject=Subject.SPREAD,
            above=-1,
            below=1,
        ),
    ),
)
