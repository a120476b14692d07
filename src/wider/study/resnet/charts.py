"""What the pictures of the experiments with ResNet-18 have in common."""

from collections.abc import Callable, Sequence

import pandas as pd

from wider.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, finish, of_seeds
from wider.drawing import Drawing, together
from wider.study._experiment import Scale
from wider.study.paper import DATASETS, dataset_title

WIDTH_TITLE = "width (output channels of the first convolution)"
BEST_TITLE = "test accuracy, best epoch"
COLOURS = [BLUE, ORANGE, GREEN, PURPLE, GREY]


def picked(means: pd.DataFrame) -> str:
    """The line under a title that says how the accuracies of best epochs came about.

    Args:
        means: what is drawn, as `over_seeds` returns it.
    """
    return (
        f"{of_seeds(means).capitalize()}; the best epoch is picked on the test set, as in the paper"
    )


def panels(
    table: pd.DataFrame,
    means: pd.DataFrame,
    draw: Callable[[pd.DataFrame], Drawing],
    *,
    by_family: bool = False,
) -> Drawing:
    """A panel for each dataset that has runs, side by side.

    Args:
        table: one row per run.
        means: what is drawn.
        draw: from the rows of one panel to its chart.
        by_family: whether each base width has a panel of its own.
    """
    parts = [
        (dataset_title(table, name), rows)
        for name in DATASETS
        if len(rows := means[means["dataset"] == name])
    ]
    if by_family:
        parts = [
            (f"{title}, base width {base_width}", family)
            for title, rows in parts
            for base_width, family in rows.groupby("base_width")
        ]
    charts = [draw(rows).properties(title=title) for title, rows in parts]
    columns = 1 if len(charts) == 1 else 2
    size = {"width": 620, "height": 360} if columns == 1 else {"width": 400, "height": 280}
    sized = [chart.properties(**size) for chart in charts]
    return together("concat", sized, independent=["x", "y"], columns=columns)


def resnet_chart(
    chart: Drawing, title: str, scale: Scale, table: pd.DataFrame, *lines: str
) -> Drawing:
    """A finished chart with what every picture of ResNet-18 has to say under its title.

    Args:
        chart: the chart.
        title: of it.
        scale: of the runs.
        table: one row per run.
        lines: what else there is to say.
    """
    return finish(chart, title, [f"ResNet-18, {scale.label}", *lines, *so_far(table, scale)])


def so_far(table: pd.DataFrame, scale: Scale) -> list[str]:
    """A line for under the title where runs are missing, and none where all are there."""
    wanted = len(scale.keys)
    if len(table) == wanted:
        return []
    return [f"So far {len(table)} of {wanted} runs: some points have fewer seeds"]


def family_labels(means: pd.DataFrame) -> dict[int, str]:
    """{base width: how the legend calls its family}, with the number of weights of its baseline.

    Datasets with more classes have a few more weights; the legend has those of the first one.
    """
    labels = {}
    for base_width, rows in means.groupby("base_width"):
        explicit = int(rows["num_weights"].max())
        effective = int(rows["num_effective_weights"].max())
        counted = f"{approximate(effective)} weights"
        if explicit != effective:
            counted = (
                f"{approximate(effective)} effective weights ({approximate(explicit)} explicit)"
            )
        labels[int(str(base_width))] = f"base width {base_width}: {counted}"
    return labels


def family_colours(labels: dict[int, str]) -> dict[str, str]:
    """{label: colour}, the narrowest family first."""
    return dict(zip(labels.values(), COLOURS, strict=False))


def approximate(count: int) -> str:
    """A number with two digits, such as 1.8e5."""
    mantissa, exponent = f"{count:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def listed(rows: pd.DataFrame, accuracy: str = "best_test_accuracy") -> str:
    """Accuracies by width as text, for captions."""
    known = rows.dropna(subset=accuracy).sort_values("width")
    return ", ".join(
        f"{value:.1%} at width {width}"
        for width, value in zip(known["width"], known[accuracy], strict=True)
    )


def titles(table: pd.DataFrame, rows: pd.DataFrame) -> Sequence[tuple[str, pd.DataFrame]]:
    """(dataset's name, its rows), for captions.

    Args:
        table: one row per run, which says how the images were stored.
        rows: that are told of.
    """
    return [
        (dataset_title(table, name), rows[rows["dataset"] == name])
        for name in DATASETS
        if (rows["dataset"] == name).any()
    ]
