"""Figure 9: which weights are kept; single ones, or the whole kernels of pairs of channels."""

from dataclasses import replace
from typing import cast

import pandas as pd

from wider.charts import BLUE, ORANGE, accuracy_lines, width_axis
from wider.evidence import (
    Claim,
    Contrast,
    Evidence,
    Measure,
    best_less_best,
    difference,
    over_seeds,
)
from wider.study._claims import Subject, accuracies, for_each, number
from wider.study._experiment import Experiment, Picture, Scale
from wider.study._lines import with_baselines
from wider.study.resnet.charts import (
    BEST_TITLE,
    WIDTH_TITLE,
    panels,
    picked,
    resnet_chart,
    titles,
)
from wider.study.resnet.runs import GPU, PAPER, SMALL_LAPTOP, SMOKE, resnet_runs
from wider.study.resnet.width_claims import ACCURACY

PATTERNS: dict[str, str] = {
    "uniform": "uniform: any weights",
    "io": "io: whole kernels",
}
BOTH = list(PATTERNS)
PAPER_FAMILIES = {
    8: (8, 12, 16, 24, 32, 48, 64),
    12: (12, 18, 24, 36, 48, 72, 96),
    18: (18, 27, 36, 54, 72, 108, 144),
}
CIFAR = ["cifar10", "cifar100"]
LARGEST_OF_SMALL = 12  # base width of the larger of the two families with a gap


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per net, with the baseline as the first member of both lines."""
    both = with_baselines(table, "pattern", ["io"])
    return over_seeds(both, ["dataset", "base_width", "pattern", "width"])


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width for both patterns, a panel per dataset and base width."""
    means = summarise(table)
    means["net"] = means["pattern"].map(PATTERNS)
    chart = panels(
        table,
        means,
        lambda rows: accuracy_lines(
            rows,
            x=width_axis(sorted(rows["width"].unique().tolist()), WIDTH_TITLE),
            accuracy="best_test_accuracy",
            colours=dict(zip(PATTERNS.values(), (BLUE, ORANGE), strict=True)),
            y_title=BEST_TITLE,
        ),
        by_family=True,
    )
    title = "ResNet-18: single weights kept, or whole kernels"
    return [
        Picture(
            "figure-9",
            resnet_chart(chart, title, scale, table, picked(means)),
            _finding(table, means),
        )
    ]


def _finding(table: pd.DataFrame, means: pd.DataFrame) -> str:
    sentences = []
    for title, rows in titles(table, means):
        wide = rows[rows["width"] > rows["base_width"]].pivot_table(
            index=["base_width", "width"], columns="pattern", values="best_test_accuracy"
        )
        if not set(PATTERNS) <= set(wide.columns) or wide.dropna().empty:
            continue
        lead = (wide["uniform"] - wide["io"]).dropna()
        base_width, width = cast(tuple[int, int], lead.abs().idxmax())
        sentences.append(
            f"{title}: the largest difference is {100 * lead.loc[(base_width, width)]:+.1f} "
            f"points, uniform against io, at width {width} of the family of base width "
            f"{base_width}."
        )
    return " ".join(sentences) or "No width has been trained with both patterns yet."


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


CLAIMS = (
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


SCALES = [
    Scale(
        "smoke",
        "100 images of CIFAR-10, 1 epoch, base width 2, 1 seed",
        lambda: resnet_runs(SMOKE, {2: (2, 4)}, datasets=["cifar10"], patterns=BOTH),
    ),
    Scale(
        "laptop",
        "10,000 images of CIFAR-10 at 16x16 pixels, not CIFAR-100, base width 4, 15 epochs instead "
        "of 300, 3 seeds",
        lambda: resnet_runs(SMALL_LAPTOP, {4: (4, 8, 16)}, datasets=["cifar10"], patterns=BOTH),
    ),
    Scale(
        "gpu",
        "CIFAR-100 and CIFAR-10, base width 8, 20 epochs instead of 300, 3 seeds",
        lambda: resnet_runs(
            GPU, {8: (64, 32, 16, 8)}, datasets=["cifar100", "cifar10"], patterns=BOTH
        ),
    ),
    Scale(
        "paper",
        "CIFAR-100 and CIFAR-10, 300 epochs, 10 seeds",
        # The figure shows CIFAR-100; the text says the same of both.
        lambda: resnet_runs(
            replace(PAPER, num_seeds=10),
            PAPER_FAMILIES,
            datasets=["cifar100", "cifar10"],
            patterns=BOTH,
        ),
    ),
]

EXPERIMENT = Experiment(
    name="figure-9",
    title="ResNet-18: single weights or whole kernels kept",
    question="Does it matter which weights are kept, or only how many?",
    source="Golubeva et al. 2021, Appendix C, Figure 9",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
    claims=CLAIMS,
)
