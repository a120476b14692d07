"""Figure 7: the distance of the kernel from its limit, beside the test error."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from wider.charts import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    accuracy_lines,
    finish,
    log_ticks,
    of_seeds,
    width_axis,
)
from wider.drawing import Drawing, layered, together
from wider.evidence import Correlation, over_seeds, rank_correlation
from wider.runs import RunSpec
from wider.study._experiment import Experiment, Picture, Scale
from wider.study._lines import with_baselines
from wider.study.kernel.figure_7_claims import CLAIMS
from wider.study.kernel.runs import (
    EPOCHS,
    NUM_TRAIN,
    NUM_WEIGHTS,
    RATES,
    WIDTHS,
    nets,
    run_of,
    with_equation_6,
)

PAIRS_A_SEED = 1000
PANEL = 600  # pixels wide, for the labels of the widest nets to have room beside each other
FAR = 3  # times the smallest test error: off the scale
LINES = {"sparse": f"sparse, {NUM_WEIGHTS:,} weights at every width", "dense": "dense"}
DISTANCES = {
    "kernel_distance": "measured, of the nets that were trained",
    "theorem_1": "Theorem 1",
    "equation_6": "equation (6)",
}


def runs(
    *,
    widths: Sequence[int],
    epochs: int,
    num_seeds: int,
    num_train: int = NUM_TRAIN,
    kernel_pairs: int = PAIRS_A_SEED,
) -> list[RunSpec]:
    """Both lines of the figure, all of one seed first.

    Args:
        widths: of the nets.
        epochs: of each run.
        num_seeds: seeds 0, 1, ...
        num_train: training images.
        kernel_pairs: pairs of test images for each net.
    """
    return [
        run_of(
            method,
            width,
            learning_rate=RATES[method][width],
            seed=seed,
            epochs=epochs,
            num_train=num_train,
            kernel_pairs=kernel_pairs,
        )
        for seed in range(num_seeds)
        for method, width in nets(widths)
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per net: accuracies, and mean squared distances over seeds with their deviation."""
    both = with_equation_6(with_baselines(table, "method", ["dense"]))
    means = over_seeds(both, ["method", "width"])
    groups = both[both["status"] == "finished"].groupby(["method", "width"])
    for name in DISTANCES:
        distances = groups[name].agg(["mean", "sem"]).reset_index()
        columns = {"mean": name, "sem": f"{name}_error"}
        means = means.merge(distances.rename(columns=columns), on=["method", "width"], how="left")
    return means


def correlation(table: pd.DataFrame) -> Correlation:
    """Rank correlation over widths of the measured distance and the test error of sparse nets."""
    sparse = table[table["method"] == "sparse"]
    return rank_correlation(
        sparse.assign(error=1 - sparse["final_test_accuracy"]),
        "kernel_distance",
        "error",
        by=["width"],
    )


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy by width of both lines; distance and test error by width of the sparse one."""
    means = summarise(table)
    return [_accuracies(means, scale), _distances(table, means, scale)]


def _on_the_scale(means: pd.DataFrame) -> pd.DataFrame:
    """Without the nets that hardly learn, beside which all others would look the same."""
    error = 1 - means["final_test_accuracy"]
    return means[error <= FAR * error.min()]


def _off_the_scale(means: pd.DataFrame) -> list[str]:
    """A line that names those nets; none where there are none."""
    shown = _on_the_scale(means)
    left_out = means[~means.index.isin(shown.index)].dropna(subset="final_test_accuracy")
    names = [
        f"{row['method']} width {row['width']} (test error {1 - row['final_test_accuracy']:.0%}, "
        f"distance {row['kernel_distance']:.2g})"
        for row in left_out.to_dict("records")
    ]
    return [f"Off the scale: {', '.join(names)}"] if names else []


def _accuracies(means: pd.DataFrame, scale: Scale) -> Picture:
    shown = _on_the_scale(means).assign(net=lambda rows: rows["method"].map(LINES))
    chart = accuracy_lines(
        shown,
        x=width_axis(sorted(shown["width"].unique().tolist()), "width"),
        accuracy="final_test_accuracy",
        colours=dict(zip(LINES.values(), (BLUE, ORANGE), strict=True)),
        y_title="test accuracy, last epoch",
    ).properties(width=PANEL)
    subtitle = [
        f"{NUM_TRAIN:,} images of MNIST, MLP in NTK parametrisation; {scale.label}",
        f"{of_seeds(shown).capitalize()}; the first layer is sparse, the last one dense",
        *_off_the_scale(means),
    ]
    title = "Figure 7a: accuracy of sparse and dense nets by width"
    return Picture("figure-7a", finish(chart, title, subtitle), _finding(means))


def _finding(means: pd.DataFrame) -> str:
    known = means.dropna(subset="final_test_accuracy")
    parts = []
    for method, rows in known.groupby("method"):
        best = rows.sort_values("final_test_accuracy").iloc[-1]
        parts.append(f"{method}: best {best.final_test_accuracy:.1%} at width {best.width}")
    return "; ".join(parts)


def _distances(table: pd.DataFrame, means: pd.DataFrame, scale: Scale) -> Picture:
    sparse = means[means["method"] == "sparse"]
    shown = _on_the_scale(sparse)
    x = width_axis(sorted(shown["width"].unique().tolist()), "width")
    panels = [
        _distance_panel(shown, x).properties(width=PANEL, height=260),
        _error_panel(shown, x).properties(width=PANEL, height=180),
    ]
    chart = together("vconcat", panels)
    found = correlation(table)
    subtitle = [
        f"MNIST, each pixel normalised, sparse nets of {NUM_WEIGHTS:,} weights; {scale.label}",
        f"Distance over {int(table['kernel_pairs'].max()):,} pairs of test images a net, "
        f"{of_seeds(sparse, with_interval=False)}{found.note}",
        *_off_the_scale(sparse),
    ]
    title = "Figure 7b: distance of the kernel from its infinitely wide limit"
    finished = finish(chart, title, subtitle)
    return Picture("figure-7b", finished, _distance_finding(sparse, found))


def _distance_panel(sparse: pd.DataFrame, x: alt.X) -> Drawing:
    long = sparse.melt(
        id_vars=["width"], value_vars=list(DISTANCES), var_name="kind", value_name="distance"
    )
    long["line"] = long["kind"].map(DISTANCES)
    colours = alt.Color(
        "line:N",
        scale=alt.Scale(domain=list(DISTANCES.values()), range=[BLUE, BLACK, GREY]),
        # Above its own panel, since the one below has other lines.
        legend=alt.Legend(
            title=None, orient="top", labelLimit=300, symbolType="stroke", symbolStrokeWidth=3
        ),
    )
    dashes = alt.StrokeDash(
        "line:N",
        scale=alt.Scale(domain=list(DISTANCES.values()), range=[[1, 0], [6, 3], [2, 3]]),
        legend=None,
    )
    shown = sparse[list(DISTANCES)]
    domain = [shown.min().min() / 1.5, 1.5 * shown.max().max()]
    base = alt.Chart(long).encode(
        x=x,
        y=alt.Y(
            "distance:Q",
            scale=alt.Scale(type="log", domain=domain, nice=False),
            axis=alt.Axis(values=log_ticks(*domain), format="~g"),
            title="mean squared distance",
        ),
        color=colours,
        tooltip=[
            alt.Tooltip("line:N"),
            alt.Tooltip("width:Q"),
            alt.Tooltip("distance:Q", format=".3g"),
        ],
    )
    measured = base.transform_filter(alt.datum.kind == "kernel_distance")
    return layered(
        base.mark_line(strokeWidth=2, clip=True).encode(strokeDash=dashes),
        measured.mark_point(filled=True, size=60, opacity=1),
    )


def _error_panel(sparse: pd.DataFrame, x: alt.X) -> Drawing:
    shown = sparse.assign(
        error=1 - sparse["final_test_accuracy"],
        low=1 - sparse["final_test_accuracy"] - sparse["final_test_accuracy_interval"],
        high=1 - sparse["final_test_accuracy"] + sparse["final_test_accuracy_interval"],
    )
    axis: dict[str, Any] = {
        "axis": alt.Axis(format="~%"),
        "scale": alt.Scale(zero=False, nice=False, padding=10),
        "title": "test error, last epoch",
    }
    base = alt.Chart(shown).encode(x=x)
    return layered(
        base.mark_rule(color=ORANGE).encode(y=alt.Y("low:Q", **axis), y2=alt.Y2("high:Q")),
        base.mark_line(color=ORANGE, strokeWidth=1.5).encode(y=alt.Y("error:Q", **axis)),
        base.mark_point(color=ORANGE, shape="square", filled=True, size=60, opacity=1).encode(
            y=alt.Y("error:Q", **axis)
        ),
    )


def _distance_finding(sparse: pd.DataFrame, found: Correlation) -> str:
    known = sparse.dropna(subset=["kernel_distance", "final_test_accuracy"])
    if known.empty:
        return "No sparse net has been trained yet."
    nearest = {
        name: int(known["width"].iloc[int(known[name].to_numpy().argmin())]) for name in DISTANCES
    }
    best = int(known["width"].iloc[int(known["final_test_accuracy"].to_numpy().argmax())])
    return (
        f"The distance is smallest at width {nearest['kernel_distance']} as measured, "
        f"{nearest['theorem_1']} by Theorem 1 and {nearest['equation_6']} by equation (6); the "
        f"test error is smallest at width {best}. "
        f"{found.sentence('measured distance and test error over widths')}"
    ).strip()


SCALES = [
    Scale(
        "smoke",
        "200 images, 2 epochs, widths 8 and 32, 1 seed",
        lambda: runs(widths=(8, 32), epochs=2, num_seeds=1, num_train=200, kernel_pairs=20),
    ),
    Scale(
        "laptop",
        "100 epochs instead of 300, 3 seeds",
        lambda: runs(widths=WIDTHS, epochs=100, num_seeds=3),
    ),
    Scale("paper", "10 seeds", lambda: runs(widths=WIDTHS, epochs=EPOCHS, num_seeds=10)),
]

EXPERIMENT = Experiment(
    name="figure-7",
    title="The kernel's distance from its infinitely wide limit, and the test error",
    question="Is the net whose kernel is nearest to that of an infinitely wide one also the net "
    "that learns best?",
    source="Golubeva et al. 2021, Section 3, Figure 7",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
    claims=CLAIMS,
)
