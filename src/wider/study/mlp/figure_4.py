"""Figure 4: MNIST, an MLP of 3,970 weights; its width against the last layer's connectivity."""

import itertools
import math
from collections.abc import Sequence
from functools import cache

import altair as alt
import pandas as pd

from wider.charts import (
    BLUE,
    ORANGE,
    accuracy_lines,
    finish,
    of_seeds,
    width_axis,
)
from wider.data import Normalisation, Preprocessing
from wider.drawing import Drawing, layered, together
from wider.errors import InputError
from wider.evidence import over_seeds
from wider.models import ACTIVATION_NAMES, Activation, MLPSpec
from wider.runs import RunSpec, Widening, multiply_adds_per_example
from wider.sparsity import allocate
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.mlp.figure_4_claims import CLAIMS
from wider.study.paper import FIGURE_4, accuracies_of_figure_4
from wider.tasks import Task
from wider.training import Recipe

BASE_WIDTH, NUM_FEATURES, NUM_CLASSES = 5, 784, 10
NUM_WEIGHTS = BASE_WIDTH * (NUM_FEATURES + NUM_CLASSES)
TASK = Task.of_images((1, 28, 28), NUM_CLASSES)
WIDTHS = (5, 10, 20, 40, 80, 160, 320, 640)
ACTIVATIONS = ACTIVATION_NAMES
POINT = ["activation", "width", "output_connectivity"]

PAPER_COLUMN = "paper"
CELL_TOOLTIP = [
    alt.Tooltip("width:Q"),
    alt.Tooltip("output_connectivity:Q", title="last layer"),
    alt.Tooltip("percent:Q", title="best epoch, %", format=".2f"),
    alt.Tooltip("final_test_accuracy:Q", title="last epoch", format=".2%"),
    alt.Tooltip("best_test_accuracy_deviation:Q", title="deviation", format=".2%"),
    alt.Tooltip("seeds:Q"),
    alt.Tooltip("diverged:Q"),
]
COLOUR_SPAN = 8.0  # points of accuracy from the brightest to the darkest colour

# A drawn star, since fonts that have the character are not everywhere.
STAR = (
    "M0.00,-1.00L0.25,-0.34L0.95,-0.31L0.40,0.13L0.59,0.81L0.00,0.42L-0.5"
    "9,0.81L-0.40,0.13L-0.95,-0.31L-0.25,-0.34Z"
)


def grid(
    *,
    widths: Sequence[int] = WIDTHS,
    output_connectivities: Sequence[float],
    epochs: int,
    seeds: Sequence[int],
    num_train: int | None = None,
    activations: Sequence[Activation] = tuple(ACTIVATIONS),
    normalisation: Normalisation = "channel",
    kernel_pairs: int = 0,
) -> list[RunSpec]:
    """The runs of one scale: every cell of the grid that exists, all cells of one seed first.

    Args:
        widths: of the hidden layer.
        output_connectivities: of the last layer.
        epochs: of each run.
        seeds: one run for each and every cell.
        num_train: training images; None for all.
        activations: "relu", and "identity" for linear nets.
        normalisation: of the pixels.
        kernel_pairs: pairs of test images over which the kernels of ReLU nets are compared.
    """
    data = Preprocessing(dataset="mnist", normalisation=normalisation, num_train=num_train)
    return [
        run_of(
            activation,
            width,
            output_connectivity,
            data=data,
            epochs=epochs,
            seed=seed,
            kernel_pairs=kernel_pairs,
        )
        for seed, activation, width, output_connectivity in itertools.product(
            seeds, activations, widths, output_connectivities
        )
        if _exists(width, output_connectivity)
    ]


def run_of(
    activation: Activation,
    width: int,
    output_connectivity: float,
    *,
    data: Preprocessing,
    epochs: int,
    seed: int,
    kernel_pairs: int = 0,
    batch_norm: bool = False,
) -> RunSpec:
    """One run of one cell.

    Args:
        activation: "relu", or "identity" for the linear net.
        width: of the hidden layer.
        output_connectivity: of the last layer; the hidden layer gets the other weights.
        data: the images and how their pixels are scaled.
        epochs: of the run.
        seed: of the run.
        kernel_pairs: pairs of test images over which kernels are compared; ReLU nets only.
        batch_norm: whether BatchNorm follows the activation.
    """
    return RunSpec(
        data=data,
        model=MLPSpec(activation=activation, batch_norm=batch_norm),
        widening=Widening(
            base_width=BASE_WIDTH, width=width, allocation={"output": output_connectivity}
        ),
        recipe=Recipe(epochs=epochs),
        seed=seed,
        kernel_pairs=kernel_pairs,
    )


@cache
def _exists(width: int, output_connectivity: float) -> bool:
    cell = run_of("relu", width, output_connectivity, data=Preprocessing(), epochs=1, seed=0)
    try:
        multiply_adds_per_example(cell, TASK)
    except InputError:
        return False
    return True


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per cell of the grid."""
    return over_seeds(table, POINT)


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """The grid of each activation, and the cut through it along the width."""
    cells = summarise(table)
    return [_grid_picture(cells, scale), _cut_picture(cells, scale)]


def best_cell(cells: pd.DataFrame, activation: str) -> pd.Series | None:
    """The cell with the highest mean best-epoch test accuracy; None before any run."""
    of_activation = cells[(cells["activation"] == activation) & (cells["seeds"] > 0)]
    if of_activation.empty:
        return None
    return of_activation.sort_values("best_test_accuracy").iloc[-1]


def _grid_picture(cells: pd.DataFrame, scale: Scale) -> Picture:
    panels = [_panel(cells, name) for name in ACTIVATIONS if (cells["activation"] == name).any()]
    chart = finish(
        # Side by side only where both fit the width of a page.
        together(
            "concat",
            panels,
            independent=["color"],
            columns=2 if cells["output_connectivity"].nunique() <= 6 else 1,
            spacing=40,
        ),
        f"Figure 4: MNIST, MLP of {NUM_WEIGHTS:,} weights at every width",
        [
            f"Every cell is a net of its own; {scale.label}",
            f"Test accuracy in %, {of_seeds(cells, with_interval=False)}; best epoch, picked on "
            "the test set as in the paper",
            "Star: best cell. White: no such net. Column paper: its value at that width, over all "
            "connectivities of the last layer.",
        ],
    )
    return Picture("figure-4", chart, " ".join(_finding(cells, name) for name in ACTIVATIONS))


def _finding(cells: pd.DataFrame, activation: Activation) -> str:
    best = best_cell(cells, activation)
    if best is None:
        return f"{ACTIVATIONS[activation]}: not run yet."
    sentence = (
        f"{ACTIVATIONS[activation]}: best {best.best_test_accuracy:.1%} at width {best.width} "
        f"(connectivity {best.connectivity:.2g}, last layer {best.output_connectivity:g})"
    )
    baseline = cells[(cells["activation"] == activation) & (cells["width"] == BASE_WIDTH)]
    if len(baseline) and baseline["seeds"].iloc[0]:
        sentence += f", dense baseline {baseline['best_test_accuracy'].iloc[0]:.1%}"
    paper = FIGURE_4[activation]
    widths = [width for width in paper if width != BASE_WIDTH]
    return (
        f"{sentence}. The paper: {paper[widths[0]]:.1%} at width {' or '.join(map(str, widths))}, "
        f"baseline about {paper[BASE_WIDTH]:.0%}."
    )


def _panel(cells: pd.DataFrame, activation: Activation) -> Drawing:
    shown = _panel_table(cells, activation)
    columns = sorted(set(shown["column"]) - {PAPER_COLUMN}, key=float)
    rows = [_row_label(width) for width in sorted(shown["width"].unique(), reverse=True)]
    # The narrow, starved corner is tens of points below the rest; without a floor to the scale,
    # all other cells would have one colour.
    highest = shown["percent"].max()
    lowest = max(shown["percent"].min(), highest - COLOUR_SPAN)
    shown["dark"] = shown["percent"] < (lowest + highest) / 2
    base = alt.Chart(shown).encode(
        x=alt.X(
            "column:N",
            scale=alt.Scale(domain=[*columns, PAPER_COLUMN]),
            axis=alt.Axis(labelAngle=0, orient="bottom"),
            title="connectivity of the last layer",
        ),
        y=alt.Y("row:N", scale=alt.Scale(domain=rows), title="width (connectivity of the net)"),
    )
    on_cell = alt.ColorValue("black", condition={"test": "datum.dark", "value": "white"})
    colour = alt.Color(
        "percent:Q",
        scale=alt.Scale(scheme="viridis", domain=[lowest, highest], clamp=True),
        title=f"test accuracy, % (darkest: {lowest:.0f} or less)",
        legend=alt.Legend(titleLimit=260, orient="bottom", gradientLength=240),
    )
    star = base.transform_filter("datum.best").mark_point(
        shape=STAR, filled=True, opacity=1, size=40, xOffset=-19
    )
    return layered(
        base.mark_rect(stroke="white").encode(color=colour, tooltip=CELL_TOOLTIP),
        base.mark_text(fontSize=11).encode(text=alt.Text("text:N"), color=on_cell),
        star.encode(color=on_cell),
    ).properties(
        width=52 * (len(columns) + 1), height=30 * len(rows), title=ACTIVATIONS[activation]
    )


def _panel_table(cells: pd.DataFrame, activation: Activation) -> pd.DataFrame:
    """One row per cell of a panel, ours and the paper's, with what is written on it."""
    ours = cells[cells["activation"] == activation].copy()
    ours["column"] = ours["output_connectivity"].map("{:g}".format)
    ours["percent"] = 100 * ours["best_test_accuracy"]
    ours["text"] = [_cell_text(row) for row in ours.itertuples()]
    best = best_cell(cells, activation)
    ours["best"] = ours.index == (None if best is None else best.name)
    paper = pd.DataFrame(
        [
            {
                "width": width,
                "column": PAPER_COLUMN,
                "percent": 100 * value,
                "text": "~90" if width == BASE_WIDTH else f"{100 * value:.1f}",
            }
            for width, value in FIGURE_4[activation].items()
            if width in set(ours["width"])
        ]
    )
    shown = pd.concat([ours, paper])
    shown["row"] = shown["width"].map(_row_label)
    return shown


def _cell_text(row) -> str:
    return "diverged" if math.isnan(row.best_test_accuracy) else f"{row.percent:.1f}"


def _row_label(width: int) -> str:
    return f"{width} ({NUM_WEIGHTS / (width * (NUM_FEATURES + NUM_CLASSES)):.2g})"


def _cut_picture(cells: pd.DataFrame, scale: Scale) -> Picture:
    line = _along_level_allocation(cells)
    line["net"] = line["activation"].map(ACTIVATIONS)
    paper = pd.DataFrame(
        [
            {"net": ACTIVATIONS[activation], "width": width, "best_test_accuracy": value}
            for activation, values in FIGURE_4.items()
            for width, value in values.items()
        ]
    )
    chart = accuracy_lines(
        line,
        x=width_axis(WIDTHS, f"width, at {NUM_WEIGHTS:,} weights"),
        accuracy="best_test_accuracy",
        colours=dict(zip(ACTIVATIONS.values(), (BLUE, ORANGE), strict=True)),
        y_title="test accuracy, best epoch",
        diamonds=paper,
    )
    finished_chart = finish(
        chart,
        f"Accuracy against width at {NUM_WEIGHTS:,} weights",
        [
            f"MNIST, {scale.label}",
            f"{of_seeds(line).capitalize()}; last layer nearest to level allocation",
        ],
    )
    return Picture("figure-4-cut", finished_chart, _cut_caption(line))


def _along_level_allocation(cells: pd.DataFrame) -> pd.DataFrame:
    """For each width, the cell whose last layer is nearest to what level allocation gives it."""
    finished = cells[cells["seeds"] > 0]
    distance = (finished["output_connectivity"] - finished["width"].map(_level_connectivity)).abs()
    ordered = finished.assign(distance=distance).sort_values("distance", kind="stable")
    return ordered.drop_duplicates(["activation", "width"]).sort_values(["activation", "width"])


def _level_connectivity(width: int) -> float:
    sizes = {"hidden.0": width * NUM_FEATURES, "output": width * NUM_CLASSES}
    return allocate(sizes, NUM_WEIGHTS, "level")["output"] / sizes["output"]


def _cut_caption(cut: pd.DataFrame) -> str:
    parts = []
    for activation, label in ACTIVATIONS.items():
        line = cut[cut["activation"] == activation]
        values = ", ".join(
            f"{row.best_test_accuracy:.1%} at width {row.width}" for row in line.itertuples()
        )
        if values:
            parts.append(f"{label}: {values}.")
    return " ".join(parts)


SCALES = [
    Scale(
        "smoke",
        "500 images, 2 epochs, 1 seed",
        lambda: grid(
            widths=(5, 80, 640),
            output_connectivities=(1.0, 0.5),
            epochs=2,
            seeds=range(1),
            num_train=500,
        ),
    ),
    Scale(
        "laptop",
        "all images, 20 epochs instead of 300, 3 seeds",
        lambda: grid(output_connectivities=(1.0, 0.75, 0.5, 0.25, 0.1), epochs=20, seeds=range(3)),
    ),
    Scale(
        "paper",
        "all images, 300 epochs, 3 seeds, 10 where a claim needs them",
        lambda: [
            *grid(
                output_connectivities=(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
                epochs=300,
                seeds=range(3),
            ),
            # Along the dense last layer, and beside the best cells: seeds that confirm.
            *grid(output_connectivities=[1.0], epochs=300, seeds=range(3, 10)),
            *grid(
                widths=(80, 160),
                output_connectivities=[0.5],
                epochs=300,
                seeds=range(3, 10),
                activations=["relu"],
            ),
        ],
    ),
]

EXPERIMENT = Experiment(
    name="figure-4",
    title="MNIST, MLP of 3,970 weights: width against the last layer's connectivity",
    question=(
        "Is a wider, sparser net with the same number of weights better, how wide is best, and "
        "which layer should give up its weights?"
    ),
    source="Golubeva et al. 2021, Figure 4",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
    claims=CLAIMS,
    paper=accuracies_of_figure_4(),
)
