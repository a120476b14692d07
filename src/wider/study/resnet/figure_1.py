"""Figure 1: ResNet-18 on natural images; test accuracy against width at equal weights."""

import pandas as pd

from wider.charts import BLUE, ORANGE, accuracy_lines, width_axis
from wider.evidence import over_seeds
from wider.runs import Method
from wider.study._experiment import Experiment, Picture, Scale
from wider.study._lines import with_baselines
from wider.study.paper import accuracies_of_table_1
from wider.study.resnet import width_claims
from wider.study.resnet.charts import (
    BEST_TITLE,
    WIDTH_TITLE,
    listed,
    panels,
    picked,
    resnet_chart,
    titles,
)
from wider.study.resnet.runs import (
    GPU,
    GPU_DATASETS,
    IMAGENET_FAMILY,
    LAPTOP,
    PAPER,
    PAPER_IMAGENET,
    SMALL_IMAGES,
    SMOKE,
    resnet_runs,
)

METHODS: dict[Method, str] = {
    "sparse": "sparse, as many weights at every width",
    "dense": "dense, weights grow with the width",
}


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset and net, with the baseline as the first member of both lines."""
    both = with_baselines(table, "method", ["dense"])
    return over_seeds(both, ["dataset", "method", "base_width", "width"])


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width, a panel per dataset."""
    means = summarise(table)
    means["net"] = means["method"].map(METHODS)
    colours = {METHODS["sparse"]: BLUE, METHODS["dense"]: ORANGE}
    shown = {net: colour for net, colour in colours.items() if (means["net"] == net).any()}
    chart = panels(
        table,
        means,
        lambda rows: accuracy_lines(
            rows,
            x=width_axis(sorted(rows["width"].unique().tolist()), WIDTH_TITLE),
            accuracy="best_test_accuracy",
            colours=shown,
            y_title=BEST_TITLE,
        ),
    )
    title = "ResNet-18: accuracy against width at equal weights"
    return [
        Picture(
            "figure-1",
            resnet_chart(chart, title, scale, table, picked(means)),
            _finding(table, means),
        )
    ]


def _finding(table: pd.DataFrame, means: pd.DataFrame) -> str:
    sparse = means[means["method"] == "sparse"]
    return " ".join(f"{title}, sparse: {listed(rows)}." for title, rows in titles(table, sparse))


SCALES = [
    Scale(
        "smoke",
        "100 images, 1 epoch, widths 2 and 4, 1 seed",
        lambda: resnet_runs(SMOKE, {2: (2, 4)}, datasets=["cifar10"], methods=list(METHODS)),
    ),
    Scale(
        "laptop",
        "CIFAR-10, base width 8, 15 epochs instead of 300, sparse only, 1 seed",
        lambda: resnet_runs(LAPTOP, {8: (8, 16, 32, 64)}, datasets=["cifar10"]),
    ),
    Scale(
        "gpu",
        "CIFAR-10 and CIFAR-100, base width 18, 20 epochs instead of 300, 3 seeds",
        lambda: resnet_runs(GPU, {18: (72, 36, 18)}, datasets=GPU_DATASETS, methods=list(METHODS)),
    ),
    Scale(
        "paper",
        "base width 18, 300 epochs, 3 seeds; ImageNet: base width 64, 150 epochs, 3 seeds",
        lambda: [
            *resnet_runs(
                PAPER,
                {18: (18, 25, 36, 51, 72, 102, 144)},
                datasets=SMALL_IMAGES,
                methods=list(METHODS),
            ),
            *resnet_runs(
                PAPER_IMAGENET, IMAGENET_FAMILY, datasets=["imagenet"], methods=list(METHODS)
            ),
        ],
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
    claims=width_claims.FIGURE_1,
    paper=accuracies_of_table_1().assign(dataset="imagenet"),
)
