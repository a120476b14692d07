"""Figure 1: ResNet-18 on natural images; test accuracy against width at equal weights."""

import itertools
from collections.abc import Sequence

import altair as alt
import pandas as pd

from wider.experiments._experiment import Experiment, Picture, Scale
from wider.experiments._resnet import DATASETS, EPOCHS, MILESTONES, dataset_title, resnet_run
from wider.experiments._table import over_seeds
from wider.experiments.charts import BLUE, ORANGE, accuracy_against_width, finish
from wider.runs import Method, RunSpec, Widening

METHODS: dict[Method, str] = {
    "sparse": "sparse, as many weights at every width",
    "dense": "dense, weights grow with the width",
}


def family_and_control(
    *,
    datasets: Sequence[str],
    methods: Sequence[Method],
    base_width: int,
    widths: Sequence[int],
    epochs: int,
    milestones: tuple[int, ...],
    num_seeds: int,
    num_train: int | None = None,
) -> list[RunSpec]:
    """Every member of the family, and of the control where it is asked for, one seed first.

    Args:
        datasets: of `DATASETS`.
        methods: "sparse", and "dense" for the control; the dense baseline is trained once.
        base_width: of the dense net that sets the number of weights.
        widths: of the nets.
        epochs: of each run.
        milestones: epochs after which the learning rate falls.
        num_seeds: seeds 0, 1, ...
        num_train: training images; None for all.
    """
    return [
        resnet_run(
            dataset,
            Widening(method=method, base_width=base_width, width=width),
            epochs=epochs,
            milestones=milestones,
            seed=seed,
            num_train=num_train,
        )
        for seed, dataset, width, method in itertools.product(
            range(num_seeds), datasets, widths, methods
        )
        if (method, width) != ("dense", base_width)
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset and net, with the baseline as the first member of both lines."""
    both = table
    if (table["method"] == "dense").any():
        baseline = table[table["width"] == table["base_width"]].assign(method="dense")
        both = pd.concat([table, baseline])
    return over_seeds(both, ["dataset", "method", "base_width", "width"])


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width, a panel per dataset."""
    means = summarise(table)
    means["net"] = means["method"].map(METHODS)
    colours = {METHODS["sparse"]: BLUE, METHODS["dense"]: ORANGE}
    shown = {net: colour for net, colour in colours.items() if (means["net"] == net).any()}
    panels = [
        accuracy_against_width(
            means[means["dataset"] == name],
            accuracy="best_test_accuracy",
            colours=shown,
            widths=sorted(means["width"].unique().tolist()),
            x_title="width (output channels of the first convolution)",
            y_title="test accuracy, best epoch",
        ).properties(title=dataset_title(table, name))
        for name in DATASETS
        if (means["dataset"] == name).any()
    ]
    subtitle = [
        f"ResNet-18, {scale.label}",
        "Mean over seeds with its 95% interval; the best epoch is picked on the test set, as in "
        "the paper",
    ]
    chart = alt.concat(*panels, columns=2).resolve_scale(y="independent")
    finished_chart = finish(chart, "ResNet-18: accuracy against width at equal weights", subtitle)
    return [Picture("figure-1", finished_chart, _finding(means))]


def _finding(means: pd.DataFrame) -> str:
    parts = []
    for dataset, rows in means.groupby("dataset", sort=False):
        sparse = rows[rows["method"] == "sparse"].dropna(subset="best_test_accuracy")
        values = ", ".join(
            f"{row.best_test_accuracy:.1%} at width {row.width}" for row in sparse.itertuples()
        )
        if values:
            parts.append(f"{DATASETS[str(dataset)]}, sparse: {values}.")
    return " ".join(parts)


SCALES = [
    Scale(
        "smoke",
        "100 images, 1 epoch, widths 2 and 4, 1 seed",
        lambda: family_and_control(
            datasets=["cifar10"],
            methods=["sparse", "dense"],
            base_width=2,
            widths=(2, 4),
            epochs=1,
            milestones=(),
            num_seeds=1,
            num_train=100,
        ),
    ),
    Scale(
        "laptop",
        "CIFAR-10, base width 8, 15 epochs instead of 300, sparse only, 1 seed",
        lambda: family_and_control(
            datasets=["cifar10"],
            methods=["sparse"],
            base_width=8,
            widths=(8, 16, 32, 64),
            epochs=15,
            milestones=(8, 12),
            num_seeds=1,
        ),
    ),
    Scale(
        "paper",
        "base width 18, 300 epochs, 3 seeds, without ImageNet",
        lambda: family_and_control(
            datasets=list(DATASETS),
            methods=list(METHODS),
            base_width=18,
            widths=(18, 25, 36, 51, 72, 102, 144),
            epochs=EPOCHS,
            milestones=MILESTONES,
            num_seeds=3,
        ),
    ),
]

EXPERIMENT = Experiment(
    name="figure-1",
    title="ResNet-18 on natural images: accuracy against width at equal weights",
    question="Does a wider, sparser ResNet-18 beat the dense one with as many weights, and how far "
    "does it fall short of a dense one as wide?",
    source="Golubeva et al. 2021, Figure 1",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
)
