"""Figure 9: which weights are kept; single ones, or the whole kernels of pairs of channels."""

import itertools
from collections.abc import Sequence
from typing import cast

import altair as alt
import pandas as pd

from wider.experiments._experiment import Experiment, Picture, Scale
from wider.experiments._resnet import EPOCHS, MILESTONES, dataset_title, resnet_run
from wider.experiments._table import over_seeds
from wider.experiments.charts import BLUE, ORANGE, accuracy_against_width, finish
from wider.runs import RunSpec, Widening
from wider.sparsity import Pattern

PATTERNS: dict[Pattern, str] = {
    "uniform": "uniform: any weights",
    "io": "io: whole kernels",
}


def families(
    *,
    dataset: str,
    base_widths: Sequence[int],
    factors: Sequence[float],
    epochs: int,
    milestones: tuple[int, ...],
    num_seeds: int,
    num_train: int | None = None,
) -> list[RunSpec]:
    """Every member of each family with both patterns, one seed first.

    Args:
        dataset: of the experiments with ResNet-18.
        base_widths: of the families.
        factors: by which the nets are widened; that of 1 is dense and trained once.
        epochs: of each run.
        milestones: epochs after which the learning rate falls.
        num_seeds: seeds 0, 1, ...
        num_train: training images; None for all.
    """
    return [
        resnet_run(
            dataset,
            Widening(base_width=base_width, width=round(factor * base_width), pattern=pattern),
            epochs=epochs,
            milestones=milestones,
            seed=seed,
            num_train=num_train,
        )
        for seed, base_width, factor, pattern in itertools.product(
            range(num_seeds), base_widths, factors, PATTERNS
        )
        if (pattern, factor) != ("io", 1)
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per net, with the baseline as the first member of both lines."""
    baseline = table[table["width"] == table["base_width"]].assign(pattern="io")
    both = pd.concat([table, baseline])
    return over_seeds(both, ["base_width", "pattern", "width"])


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width for both patterns, a panel per base width."""
    means = summarise(table)
    means["net"] = means["pattern"].map(PATTERNS)
    panels = [
        accuracy_against_width(
            rows,
            accuracy="best_test_accuracy",
            colours=dict(zip(PATTERNS.values(), (BLUE, ORANGE), strict=True)),
            widths=sorted(rows["width"].unique().tolist()),
            x_title="width",
            y_title="test accuracy, best epoch",
        ).properties(title=f"base width {base_width}", width=360, height=260)
        for base_width, rows in means.groupby("base_width")
    ]
    subtitle = [
        f"ResNet-18, {dataset_title(table, table['dataset'].iloc[0])}, {scale.label}",
        "Mean over seeds with its 95% interval; the best epoch is picked on the test set, as in "
        "the paper",
    ]
    chart = finish(alt.concat(*panels, columns=3), "Which weights are kept", subtitle)
    return [Picture("figure-9", chart, _finding(means))]


def _finding(means: pd.DataFrame) -> str:
    wide = means.pivot_table(
        index=["base_width", "width"], columns="pattern", values="best_test_accuracy"
    )
    if "uniform" not in wide or "io" not in wide or wide.dropna().empty:
        return "No width has been trained with both patterns yet."
    lead = (wide["uniform"] - wide["io"]).dropna()
    base_width, width = cast(tuple[int, int], lead.abs().idxmax())
    return (
        f"The largest difference is {100 * lead.loc[(base_width, width)]:+.1f} points, uniform "
        f"against io, at width {width} of the family of base width {base_width}."
    )


SCALES = [
    Scale(
        "smoke",
        "100 images of CIFAR-10, 1 epoch, base width 2, 1 seed",
        lambda: families(
            dataset="cifar10",
            base_widths=(2,),
            factors=(1, 2),
            epochs=1,
            milestones=(),
            num_seeds=1,
            num_train=100,
        ),
    ),
    Scale(
        "laptop",
        "CIFAR-10 instead of CIFAR-100, base width 8, 10 epochs instead of 300, 1 seed",
        lambda: families(
            dataset="cifar10",
            base_widths=(8,),
            factors=(1, 2, 4, 8),
            epochs=10,
            milestones=(5, 8),
            num_seeds=1,
        ),
    ),
    Scale(
        "paper",
        "CIFAR-100, 300 epochs, 10 seeds",
        lambda: families(
            dataset="cifar100",
            base_widths=(8, 12, 18),
            factors=(1, 1.5, 2, 3, 4, 6, 8),
            epochs=EPOCHS,
            milestones=MILESTONES,
            num_seeds=10,
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
)
