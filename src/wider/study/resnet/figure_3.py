"""Figure 3: ResNet-18 widened by bottlenecks at a constant number of weights."""

from collections.abc import Mapping

import pandas as pd

from wider.charts import accuracy_lines, width_axis
from wider.drawing import Drawing, together
from wider.evidence import over_seeds
from wider.runs import Method, RunSpec
from wider.study._experiment import Experiment, Picture, Scale
from wider.study._lines import with_baselines
from wider.study.paper import DATASETS, dataset_title
from wider.study.resnet import _bottleneck_claims
from wider.study.resnet.charts import (
    BEST_TITLE,
    family_colours,
    family_labels,
    listed,
    picked,
    resnet_chart,
    titles,
)
from wider.study.resnet.runs import (
    GPU,
    GPU_DATASETS,
    PAPER,
    SMALL_LAPTOP,
    SMOKE,
    Families,
    Protocol,
    resnet_runs,
)

KINDS: dict[Method, str] = {
    "linear_bottleneck": "(a) linear bottleneck",
    "nonlinear_bottleneck": "(b) non-linear bottleneck",
}

# Wider members do not exist: 1x1 convolutions that a non-linear bottleneck cannot narrow would
# hold more than the budget. The paper does not say how it went on.
PAPER_FAMILIES: dict[Method, Families] = {
    "linear_bottleneck": {
        8: (8, 11, 16, 23, 32, 45, 64),
        12: (12, 17, 24, 34, 48, 68, 96),
        18: (18, 25, 36, 51, 72, 102, 144),
        40: (40, 57, 80, 113, 160),
        64: (64, 90, 128, 181, 256),
    },
    "nonlinear_bottleneck": {
        8: (8, 11, 16, 23, 32, 45),
        12: (12, 17, 24, 34, 48, 68),
        18: (18, 25, 36, 51, 72, 102),
        40: (40, 57, 80, 113, 160),
        64: (64, 90, 128, 181, 256),
    },
}


def bottleneck_runs(
    protocol: Protocol, families: Mapping[Method, Families], datasets: list[str]
) -> list[RunSpec]:
    """Every member of both kinds, and the baselines; all of one seed first."""
    runs = []
    for method, members in families.items():
        baselines = {base_width: (base_width,) for base_width in members}
        runs += resnet_runs(protocol, baselines, datasets=datasets)
        runs += resnet_runs(protocol, members, datasets=datasets, methods=[method])
    return sorted(dict.fromkeys(runs), key=lambda run: run.seed)


def _both(families: Families) -> dict[Method, Families]:
    return dict.fromkeys(KINDS, families)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset and net; the baselines are "sparse" and the first non-linear ones."""
    both = with_baselines(table, "method", ["nonlinear_bottleneck"])
    return over_seeds(both, ["dataset", "method", "base_width", "width"])


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width; a column per kind of bottleneck, a row per dataset."""
    means = summarise(table)
    columns = [
        _column(table, means, method)
        for method in KINDS
        if ((means["method"] == method) & (means["width"] > means["base_width"])).any()
    ]
    chart = resnet_chart(
        together("hconcat", columns, independent=["color", "shape"]),
        "ResNet-18 widened by bottlenecks at a constant number of weights",
        scale,
        table,
        picked(means),
    )
    return [Picture("figure-3", chart, _finding(table, means))]


def _column(table: pd.DataFrame, means: pd.DataFrame, method: Method) -> Drawing:
    ours = means[means["method"] == method].copy()
    wider = ours[ours["width"] > ours["base_width"]]
    ours = ours[ours["dataset"].isin(wider["dataset"])]  # a baseline alone has nothing to show
    labels = family_labels(ours)
    ours["net"] = ours["base_width"].map(labels)
    baselines = means[means["method"] == "sparse"].copy()
    baselines["net"] = baselines["base_width"].map(labels)
    panels = [
        accuracy_lines(
            rows,
            x=width_axis(sorted(rows["width"].unique().tolist()), "width"),
            accuracy="best_test_accuracy",
            colours=family_colours(labels),
            y_title=BEST_TITLE,
            dashed=baselines[baselines["dataset"] == name].dropna(subset="net"),
            dashed_name="the baseline, before any bottleneck",
        ).properties(title=f"{KINDS[method]}, {dataset_title(table, name)}", width=420, height=280)
        for name in DATASETS
        if len(rows := ours[ours["dataset"] == name])
    ]
    return together("vconcat", panels)


def _finding(table: pd.DataFrame, means: pd.DataFrame) -> str:
    sentences = []
    for title, rows in titles(table, means):
        for base_width, family in rows.groupby("base_width"):
            by_method = {
                method: listed(family[family["method"] == method]) for method in ("sparse", *KINDS)
            }
            sentences.append(
                f"{title}, base width {base_width}: baseline {by_method['sparse']}; linear "
                f"{by_method['linear_bottleneck'] or 'not run'}; non-linear "
                f"{by_method['nonlinear_bottleneck'] or 'not run'}."
            )
    return " ".join(sentences)


SCALES = [
    Scale(
        "smoke",
        "100 images, 1 epoch, base width 4, 1 seed",
        lambda: bottleneck_runs(SMOKE, _both({4: (4, 8)}), ["cifar10"]),
    ),
    Scale(
        "laptop",
        "10,000 images of CIFAR-10 at 16x16 pixels, base width 4, 15 epochs instead of 300, "
        "3 seeds",
        lambda: bottleneck_runs(SMALL_LAPTOP, _both({4: (4, 8, 16)}), ["cifar10"]),
    ),
    Scale(
        "gpu",
        "CIFAR-10 and CIFAR-100, base widths 8 and 18, 20 epochs instead of 300, 3 seeds",
        lambda: [
            *bottleneck_runs(GPU, _both({8: (32, 16, 8)}), GPU_DATASETS),
            # The non-linear ones first, since a claim waits for them.
            *bottleneck_runs(
                GPU,
                {
                    "nonlinear_bottleneck": {18: (72, 36, 18)},
                    "linear_bottleneck": {18: (72, 36, 18)},
                },
                GPU_DATASETS,
            ),
        ],
    ),
    Scale(
        "paper",
        "300 epochs, 3 seeds",
        lambda: bottleneck_runs(PAPER, PAPER_FAMILIES, ["cifar10", "cifar100"]),
    ),
]

EXPERIMENT = Experiment(
    name="figure-3",
    title="ResNet-18 widened by bottlenecks",
    question="Do bottlenecks, linear or not, make wider nets with as many weights better?",
    source="Golubeva et al. 2021, Section 2.2, Figure 3",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
    claims=_bottleneck_claims.FIGURE_3,
)
