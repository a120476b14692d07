"""The demo: the effect in a minute, on the digits that come with scikit-learn."""

import itertools
from collections.abc import Sequence

import pandas as pd

from wider.charts import BLUE, ORANGE, accuracy_lines, finish, of_seeds, width_axis
from wider.data import Preprocessing
from wider.evidence import over_seeds
from wider.runs import Method, RunSpec, Widening
from wider.study._experiment import Experiment, Picture, Scale
from wider.training import Recipe

BASE_WIDTH = 4
WIDTHS = (4, 8, 16, 32, 64, 128)
NUM_WEIGHTS = BASE_WIDTH * (64 + 10)
SPARSE = f"sparse, {NUM_WEIGHTS} weights at every width"
DENSE = "dense, weights grow with the width"
METHODS: dict[Method, str] = {"sparse": SPARSE, "dense": DENSE}


def family_and_control(*, widths: Sequence[int], epochs: int, num_seeds: int) -> list[RunSpec]:
    """Every width of the sparse family and of the dense control, all of one seed first."""
    return [
        RunSpec(
            data=Preprocessing(dataset="digits", normalisation="pixel"),
            widening=Widening(method=method, base_width=BASE_WIDTH, width=width),
            recipe=Recipe(epochs=epochs, batch_size=50),
            seed=seed,
        )
        for seed, width, method in itertools.product(range(num_seeds), widths, METHODS)
        # The narrowest sparse net is the dense baseline; it is trained once.
        if (method, width) != ("sparse", BASE_WIDTH)
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per net, with the dense baseline as the first member of both lines."""
    baseline = table[table["width"] == BASE_WIDTH].assign(method="sparse")
    both = pd.concat([table, baseline])
    return over_seeds(both, ["method", "width"])


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width, family and control."""
    means = summarise(table)
    means["net"] = means["method"].map(METHODS)
    chart = accuracy_lines(
        means,
        x=width_axis(WIDTHS, "width (hidden units)"),
        accuracy="final_test_accuracy",
        colours={SPARSE: BLUE, DENSE: ORANGE},
        y_title="test accuracy, last epoch",
    )
    title = "The same number of weights, spread over a wider net"
    subtitle = [
        f"8x8 digits, MLP; {scale.label}",
        f"{of_seeds(means).capitalize()}; the leftmost point is the dense baseline of both.",
    ]
    return [Picture("demo", finish(chart, title, subtitle), finding(means))]


def finding(means: pd.DataFrame) -> str:
    """What is seen, in a sentence with its numbers."""
    sparse = means[means["method"] == "sparse"].dropna(subset="final_test_accuracy")
    baseline = sparse[sparse["width"] == BASE_WIDTH]
    if baseline.empty:
        return "The baseline has not been trained yet."
    best = sparse.sort_values("final_test_accuracy").iloc[-1]
    gain = best.final_test_accuracy - baseline["final_test_accuracy"].iloc[0]
    return (
        f"With {NUM_WEIGHTS} weights, the net of width {best.width} reaches "
        f"{best.final_test_accuracy:.1%} on test images, {100 * gain:+.1f} points on the dense "
        f"baseline of width {BASE_WIDTH} (mean of {best.seeds} seeds; the width was picked on "
        "the same test images)."
    )


SCALES = [
    Scale(
        "smoke",
        "3 epochs, 2 seeds",
        lambda: family_and_control(widths=(4, 16), epochs=3, num_seeds=2),
    ),
    Scale(
        "laptop",
        "1,297 training images, 50 epochs, 5 seeds",
        lambda: family_and_control(widths=WIDTHS, epochs=50, num_seeds=5),
    ),
]

EXPERIMENT = Experiment(
    name="demo",
    title=f"Digits, MLP of {NUM_WEIGHTS} weights: sparse family and dense control",
    question="Is a wider net better at the same number of weights? In a minute, nothing to fetch.",
    source="the demo; the paper's Figure 4 in small",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
)
