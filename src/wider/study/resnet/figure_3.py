"""Figure 3: ResNet-18 widened by bottlenecks at a constant number of weights."""

from collections.abc import Mapping

import pandas as pd

from wider.charts import accuracy_lines, width_axis
from wider.drawing import Drawing, together
from wider.evidence import Claim, Evidence, Measure, best_less_best, over_seeds
from wider.runs import Method, RunSpec
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
from wider.study._experiment import Experiment, Picture, Scale
from wider.study._lines import with_baselines
from wider.study.paper import DATASETS, dataset_title
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
from wider.study.resnet.width_claims import ACCURACY, GAIN

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
CIFAR = ["cifar10", "cifar100"]
SMALLEST = 8  # base width of the family that the paper treats apart


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


CLAIMS = (
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
    claims=CLAIMS,
)
