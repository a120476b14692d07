"""Figure 6: which part of the gain of a wide dense net is due to its width alone."""

import math
from typing import Any

import altair as alt
import pandas as pd

from wider.charts import BLACK, ORANGE
from wider.drawing import Drawing, layered, together
from wider.evidence import Contrast, fraction_of_gain
from wider.runs import Method
from wider.study._claims import POINTS, accuracies
from wider.study._experiment import Experiment, Picture, Scale
from wider.study._lines import with_baselines
from wider.study.resnet import figure_1, weights_claims
from wider.study.resnet.charts import panels, resnet_chart, titles
from wider.study.resnet.runs import GPU, GPU_DATASETS, LAPTOP, resnet_runs

METHODS: list[Method] = ["sparse", "dense"]
FAMILY = ["dataset", "base_width"]
ACCURACIES = [
    "sparse_accuracy",
    "dense_accuracy",
    "baseline_accuracy",
    "fraction",
    "final_train_accuracy",
]
TOOLTIP = [
    alt.Tooltip("width:Q"),
    alt.Tooltip("seeds:Q"),
    *(alt.Tooltip(f"{name}:Q", title=name.replace("_", " "), format=".2%") for name in ACCURACIES),
]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset and width above the base width.

    Columns: widening factor; best test accuracies of the sparse net, the dense one and the
    baseline; `fraction` = (sparse - baseline) / (dense -
    baseline) with its 95% interval; the sparse net's training accuracy in the last epoch, and
    whether it is the highest of its family.
    """
    both = with_baselines(table, "method", ["dense"])
    finished = both[both["status"] == "finished"]
    rows = [row for _, family in finished.groupby(FAMILY) for row in _family_rows(family)]
    return pd.DataFrame(rows)


def _family_rows(family: pd.DataFrame) -> list[dict[str, object]]:
    base_width = int(family["base_width"].iloc[0])
    best = accuracies(family, ["method", "width"])
    fitted = family[family["method"] == "sparse"].groupby("width")["final_train_accuracy"].mean()
    rows = []
    for width in sorted(set(family["width"]) - {base_width}):
        nets = [("sparse", width), ("dense", width), ("sparse", base_width)]
        if not all(net in best for net in nets):
            continue
        sparse, dense, baseline = nets
        gains = [Contrast({net: 1.0, baseline: -1.0}, "") for net in (sparse, dense)]
        evidence = fraction_of_gain(best, *gains)
        assert evidence is not None
        fraction = evidence.effect
        rows.append(
            {
                "dataset": family["dataset"].iloc[0],
                "base_width": base_width,
                "width": width,
                "factor": width / base_width,
                "seeds": evidence.seeds,
                "sparse_accuracy": best[sparse].value / POINTS,
                "dense_accuracy": best[dense].value / POINTS,
                "baseline_accuracy": best[baseline].value / POINTS,
                "fraction": fraction.value,
                "low": _end(fraction.low),
                "high": _end(fraction.high),
                "final_train_accuracy": fitted[width],
                "fits_best": width == fitted.idxmax(),
            }
        )
    return rows


def _end(end: float) -> float:
    """Of an interval; NaN, which is not drawn, where it is not known."""
    return end if math.isfinite(end) else math.nan


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """The part of the gain against the widening factor, a panel per dataset."""
    gains = summarise(table)
    if gains.empty:
        return []
    rows = [panels(table, gains, draw, by_family=True) for draw in (_fractions, _training)]
    chart = together("vconcat", rows)
    interval = ", with its 95% interval (Fieller)" if gains["seeds"].max() > 1 else ", one seed"
    lines = [
        f"Triangles: (sparse - baseline) / (dense of the same width - baseline), best test "
        f"accuracies{interval}",
        "Circles: training accuracy of the sparse net, last epoch; dashed: where it is highest",
    ]
    title = "How much of the gain is due to width alone"
    return [
        Picture(
            "figure-6", resnet_chart(chart, title, scale, table, *lines), _finding(table, gains)
        )
    ]


def _fractions(rows: pd.DataFrame) -> Drawing:
    base, values = alt.Chart(rows).encode(x=_factor_axis(rows)), rows["fraction"]
    # Where the dense net gains little, the interval is far wider than anything to be seen.
    domain = [min(0, values.min()) - 0.1, max(1, values.max()) + 0.1]
    axis: dict[str, Any] = {
        "axis": alt.Axis(format="~%"),
        "title": "part of the gain due to width",
        "scale": alt.Scale(domain=domain, nice=False),
    }
    lines = base.encode(y=alt.Y("fraction:Q", **axis), tooltip=TOOLTIP)
    return layered(
        lines.mark_line(strokeWidth=2, color=BLACK),
        base.mark_rule(strokeWidth=1.5, color=BLACK, clip=True).encode(
            y=alt.Y("low:Q", **axis), y2=alt.Y2("high:Q")
        ),
        lines.mark_point(shape="triangle-up", size=80, filled=True, opacity=1, color=BLACK),
        _where_it_fits_best(base),
    )


def _training(rows: pd.DataFrame) -> Drawing:
    base = alt.Chart(rows).encode(x=_factor_axis(rows))
    y = alt.Y(
        "final_train_accuracy:Q",
        axis=alt.Axis(format="~%"),
        scale=alt.Scale(zero=False, nice=False, padding=12),
        title="training accuracy, sparse net",
    )
    circles = base.encode(y=y, tooltip=TOOLTIP)
    return layered(
        circles.mark_line(strokeWidth=2, color=ORANGE),
        circles.mark_circle(size=60, opacity=1, color=ORANGE),
        _where_it_fits_best(base),
    )


def _factor_axis(rows: pd.DataFrame) -> alt.X:
    factors = sorted(rows["factor"].unique().tolist())
    return alt.X(
        "factor:Q",
        scale=alt.Scale(
            type="log", base=2, domain=[0.9 * factors[0], 1.1 * factors[-1]], nice=False
        ),
        axis=alt.Axis(values=factors, format=".2~r", labelAngle=0),
        title="widening factor",
    )


def _where_it_fits_best(base: Any) -> Any:
    best = base.transform_filter("datum.fits_best")
    # To the side of an interval at the same factor.
    return best.mark_rule(strokeDash=[5, 4], color=ORANGE, strokeWidth=1.5, xOffset=7)


def _finding(table: pd.DataFrame, gains: pd.DataFrame) -> str:
    sentences = []
    for title, rows in titles(table, gains.dropna(subset="fraction")):
        for base_width, family in rows.groupby("base_width"):
            parts = ", ".join(
                f"{fraction:.0%} at {factor:.2g} times the base width"
                for fraction, factor in zip(family["fraction"], family["factor"], strict=True)
            )
            sentences.append(f"{title}, base width {base_width}: {parts}.")
    return " ".join(sentences) or "No width at which the dense net gained has been trained yet."


SCALES = {
    **figure_1.EXPERIMENT.scales,
    "gpu": Scale(
        "gpu",
        "CIFAR-10 and CIFAR-100, base widths 8 and 18, 20 epochs instead of 300, 3 seeds",
        # The nets of Figures 1 and 5 first, since claims wait for them; the longest runs first.
        lambda: [
            *resnet_runs(GPU, {18: (72, 36, 18)}, datasets=GPU_DATASETS, methods=METHODS),
            *resnet_runs(GPU, {8: (64, 32, 16, 8)}, datasets=GPU_DATASETS),
            *resnet_runs(GPU, {8: (64, 32, 16)}, datasets=GPU_DATASETS, methods=["dense"]),
        ],
    ),
    "laptop": Scale(
        "laptop",
        "CIFAR-10, base width 8, widths 16 and 32, 15 epochs instead of 300, 1 seed",
        lambda: resnet_runs(LAPTOP, {8: (8, 16, 32)}, datasets=["cifar10"], methods=METHODS),
    ),
}

EXPERIMENT = Experiment(
    name="figure-6",
    title="How much of the gain of a wide dense ResNet-18 is due to its width alone",
    question="Of what a dense net gains by width and weights together, how much does the sparse "
    "net of the same width gain without more weights?",
    source="Golubeva et al. 2021, Section 2.3, Figure 6",
    scales=SCALES,
    summarise=summarise,
    draw=draw,
    claims=weights_claims.FIGURE_6,
)
