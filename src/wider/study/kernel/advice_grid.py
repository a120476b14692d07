"""The kernel distance of every cell of Figure 4, against the accuracy that training finds there."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from wider.charts import finish, of_seeds
from wider.data import Normalisation
from wider.drawing import Drawing, layered, together
from wider.evidence import Correlation, over_seeds, rank_correlation
from wider.runs import RunSpec
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.mlp import figure_4

CELL = ["width", "output_connectivity"]
POINT = ["normalisation", *CELL]
# {how pixels are scaled: in words}; the first one is what `wider advise` takes for granted.
NORMALISATIONS: dict[Normalisation, str] = {
    "pixel": "Each pixel normalised by itself",
    "channel": "One mean and deviation for all pixels, as in Figure 4",
}
PAIRS = 300  # a run
ERROR_SPAN = 0.08  # from the brightest to the darkest colour, as in Figure 4
DISTANCE_SPAN = 8.0  # likewise, a factor


def runs(
    *,
    widths: Sequence[int] = figure_4.WIDTHS,
    output_connectivities: Sequence[float],
    epochs: int,
    num_seeds: int,
    num_train: int | None = None,
    kernel_pairs: int = PAIRS,
) -> list[RunSpec]:
    """The ReLU nets of Figure 4, each with the distance of its kernel, for two scales of pixels."""
    return [
        spec
        for normalisation in NORMALISATIONS
        for spec in figure_4.grid(
            widths=widths,
            output_connectivities=output_connectivities,
            epochs=epochs,
            seeds=range(num_seeds),
            num_train=num_train,
            activations=["relu"],
            normalisation=normalisation,
            kernel_pairs=kernel_pairs,
        )
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: accuracies and distances over seeds."""
    means = over_seeds(table, POINT)
    distances = table.groupby(POINT)[["expected_kernel_distance", "theorem_1"]].mean()
    return means.merge(distances.reset_index(), on=POINT)


def correlation(table: pd.DataFrame, distance: str = "expected_kernel_distance") -> Correlation:
    """Rank correlation over cells of the distance and the test error of the last epoch.

    Args:
        table: one row per run, all with the same scaling of pixels.
        distance: the column of the distance, "theorem_1" for the paper's own.
    """
    return rank_correlation(
        table.assign(error=1 - table["final_test_accuracy"]), distance, "error", by=CELL
    )


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """For each scaling of pixels two grids, distance and test error, and the best cell of each."""
    pictures = []
    for normalisation in NORMALISATIONS:
        runs_of_it = table[table["normalisation"] == normalisation]
        if (runs_of_it["status"] == "finished").any():
            pictures.append(_picture(runs_of_it, normalisation, scale))
    return pictures


def _picture(table: pd.DataFrame, normalisation: Normalisation, scale: Scale) -> Picture:
    cells = summarise(table)
    cells = cells[cells["seeds"] > 0]
    cells = cells.assign(
        relative=cells["expected_kernel_distance"] / cells["expected_kernel_distance"].min(),
        error=1 - cells["final_test_accuracy"],
    )
    found = correlation(table)
    lowest = cells["error"].min()
    darkest = lowest + ERROR_SPAN
    whole = [percent / 100 for percent in range(0, 101, 2) if lowest <= percent / 100 <= darkest]
    panels = [
        _panel(
            cells.assign(text=cells["relative"].map(_three_digits)),
            "relative",
            title="distance, as a multiple of the smallest",
            scale=_colours("log", [1, DISTANCE_SPAN]),
            legend=_legend(f"{DISTANCE_SPAN:g}", values=[1, 2, 4, DISTANCE_SPAN]),
        ),
        _panel(
            cells.assign(text=(100 * cells["error"]).map("{:.1f}".format)),
            "error",
            title="test error, %, last epoch",
            scale=_colours("linear", [lowest, darkest]),
            legend=_legend(f"{darkest:.0%}", values=whole, format=".0%"),
        ),
    ]
    subtitle = [
        f"MNIST, ReLU MLP of {figure_4.NUM_WEIGHTS:,} weights; {scale.label}",
        f"{NORMALISATIONS[normalisation]}{found.note}",
        f"{of_seeds(cells, with_interval=False).capitalize()}; framed: the smallest. "
        "White: no such net",
    ]
    chart = together("hconcat", panels, independent=["color"], spacing=30)
    title = "Distance of the kernel before training, and test error after it"
    caption = f"{NORMALISATIONS[normalisation]}: {_finding(cells, table, found)}"
    return Picture(f"advice-grid-{normalisation}", finish(chart, title, subtitle), caption)


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _colours(kind: Literal["linear", "log"], domain: list[float]) -> alt.Scale:
    return alt.Scale(scheme="viridis", reverse=True, type=kind, domain=domain, clamp=True)


def _legend(darkest: str, **ticks: Any) -> alt.Legend:
    return alt.Legend(
        title=f"darkest: {darkest} or more", orient="bottom", gradientLength=180, **ticks
    )


def _panel(
    cells: pd.DataFrame, column: str, *, title: str, scale: alt.Scale, legend: alt.Legend
) -> Drawing:
    lowest, highest = scale.domain
    middle = math.sqrt(lowest * highest) if scale.type == "log" else (lowest + highest) / 2
    shown = cells.assign(
        last_layer=cells["output_connectivity"].map("{:g}".format),
        dark=cells[column] > middle,
        best=cells[column] == cells[column].min(),
    )
    base = alt.Chart(shown).encode(
        x=alt.X(
            "last_layer:O",
            axis=alt.Axis(labelAngle=0),
            title="connectivity of the last layer",
        ),
        y=alt.Y("width:O", sort="descending", title="width"),
        tooltip=[
            alt.Tooltip("width:Q"),
            alt.Tooltip("output_connectivity:Q", title="last layer"),
            alt.Tooltip("expected_kernel_distance:Q", title="distance", format=".3g"),
            alt.Tooltip("theorem_1:Q", title="by Theorem 1", format=".3g"),
            alt.Tooltip("final_test_accuracy:Q", title="last epoch", format=".2%"),
            alt.Tooltip("seeds:Q"),
        ],
    )
    return layered(
        base.mark_rect(stroke="white").encode(
            color=alt.Color(f"{column}:Q", scale=scale, legend=legend)
        ),
        base.mark_text(fontSize=11).encode(
            text=alt.Text("text:N"),
            color=alt.ColorValue("black", condition={"test": "datum.dark", "value": "white"}),
        ),
        base.transform_filter("datum.best").mark_rect(
            filled=False, stroke="#D55E00", strokeWidth=3
        ),
    ).properties(width=46 * shown["last_layer"].nunique(), height=30 * 8, title=title)


def _finding(cells: pd.DataFrame, table: pd.DataFrame, found: Correlation) -> str:
    nearest = cells.sort_values("expected_kernel_distance").iloc[0]
    best = cells.sort_values("error").iloc[0]
    sentences = [
        f"the distance is smallest at width {nearest.width:.0f}, last layer "
        f"{nearest.output_connectivity:g}, where the test error is {nearest.error:.1%}; the "
        f"smallest error is {best.error:.1%}, at width {best.width:.0f}, last layer "
        f"{best.output_connectivity:g}.",
        found.sentence("distance and test error over cells"),
        correlation(table, "theorem_1").sentence("Theorem 1 as printed and test error"),
    ]
    return " ".join(filter(None, sentences))


SCALES = [
    Scale(
        "smoke",
        "500 images, 2 epochs, 1 seed",
        lambda: runs(
            widths=(5, 80, 640),
            output_connectivities=(1.0, 0.5),
            epochs=2,
            num_seeds=1,
            num_train=500,
            kernel_pairs=20,
        ),
    ),
    Scale(
        "laptop",
        "all images, 20 epochs instead of 300, 5 seeds",
        lambda: runs(output_connectivities=(1.0, 0.75, 0.5, 0.25, 0.1), epochs=20, num_seeds=5),
    ),
    Scale(
        "paper",
        "all images, 300 epochs, 3 seeds",
        lambda: runs(
            output_connectivities=(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
            epochs=300,
            num_seeds=3,
        ),
    ),
]

EXPERIMENT = Experiment(
    name="advice-grid",
    title="The kernel distance of every cell of Figure 4 against its test error",
    question="Do the width and the last layer's connectivity with the smallest kernel distance, "
    "known before training, train best, and do the other cells follow in that order?",
    source="our own study, after Golubeva et al. 2021, Section 3 and Figure 4",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
)
