"""The families of Figures 5, 11 and 13: the same runs, shown in three ways."""

from collections.abc import Callable, Mapping

import altair as alt
import pandas as pd

from wider.charts import accuracy_lines
from wider.drawing import Drawing
from wider.evidence import over_seeds
from wider.study._experiment import Scale
from wider.study.resnet.charts import family_colours, family_labels, panels
from wider.study.resnet.runs import (
    GPU,
    GPU_DATASETS,
    GPU_SMALL_SET,
    LAPTOP,
    PAPER,
    SMALL_IMAGES,
    SMOKE,
    Families,
    resnet_runs,
)

# The paper gives the base widths; of the other widths it shows points, not numbers. Ours are a
# factor of about 1.4 apart.
PAPER_FAMILIES: Families = {
    8: (8, 11, 16, 23, 32, 45, 64, 91),
    12: (12, 17, 24, 34, 48, 68, 96),
    18: (18, 25, 36, 51, 72, 102, 144),
    40: (40, 57, 80, 113, 160),
    64: (64, 90, 128, 181, 256),
}

SCALES: Mapping[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale(
            "smoke",
            "100 images, 1 epoch, base widths 2 and 3, 1 seed",
            lambda: resnet_runs(SMOKE, {2: (2, 4), 3: (3, 4)}, datasets=["cifar10"]),
        ),
        Scale(
            "laptop",
            "CIFAR-10, base widths 4 and 8, 15 epochs instead of 300, 1 seed",
            lambda: resnet_runs(LAPTOP, {8: (8, 16, 32, 64), 4: (4, 8, 16)}, datasets=["cifar10"]),
        ),
        Scale(
            "gpu",
            "base widths 8 and 18, 20 epochs instead of 300 (100 of the small SVHN set), 3 seeds",
            lambda: [
                *resnet_runs(GPU, {18: (72, 36, 18), 8: (64, 32, 16, 8)}, datasets=GPU_DATASETS),
                *resnet_runs(GPU_SMALL_SET, {8: (64, 32, 16, 8)}, datasets=["svhn_10k"]),
            ],
        ),
        Scale(
            "paper",
            "300 epochs, 3 seeds",
            lambda: resnet_runs(PAPER, PAPER_FAMILIES, datasets=SMALL_IMAGES),
        ),
    )
}


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset, family and width."""
    return over_seeds(table, ["dataset", "base_width", "width"])


def family_panels(
    table: pd.DataFrame,
    *,
    x: Callable[[pd.DataFrame], alt.X],
    accuracy: str,
    y_title: str,
    others: pd.DataFrame | None = None,
    others_name: str = "",
) -> Drawing:
    """A line per family, a panel per dataset.

    Args:
        table: one row per run.
        x: from the rows of a dataset to the horizontal axis.
        accuracy: the column that is shown.
        y_title: of the vertical axis.
        others: points of other people's, with the columns "dataset", "base_width", "width" and
            `accuracy`; drawn as diamonds where their family is drawn.
        others_name: what those are called in the legend.
    """
    means = summarise(table)
    labels = family_labels(means)
    means["net"] = means["base_width"].map(labels)
    colours = family_colours(labels)
    if others is not None:
        others = others.assign(net=others["base_width"].map(labels)).dropna(subset="net")
    return panels(
        table,
        means,
        lambda rows: accuracy_lines(
            rows,
            x=x(rows),
            accuracy=accuracy,
            colours=colours,
            y_title=y_title,
            diamonds=_of_same_dataset(others, rows),
            diamonds_name=others_name,
        ),
    )


def _of_same_dataset(others: pd.DataFrame | None, rows: pd.DataFrame) -> pd.DataFrame | None:
    if others is None:
        return None
    found = others[others["dataset"].isin(rows["dataset"])]
    return found if len(found) else None
