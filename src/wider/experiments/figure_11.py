"""Figure 11: the families of Figure 5 against their connectivity."""

import pandas as pd

from wider.experiments._experiment import Experiment, Picture, Scale
from wider.experiments._families import SCALES, summarise
from wider.experiments._resnet_charts import (
    BEST_TITLE,
    PICKED,
    family_colours,
    family_labels,
    panels,
    resnet_chart,
    titles,
)
from wider.experiments.charts import accuracy_lines, connectivity_axis


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against connectivity, a line per family, a panel per dataset."""
    means = summarise(table)
    labels = family_labels(means)
    means["net"] = means["base_width"].map(labels)
    chart = panels(
        table,
        means,
        lambda rows: accuracy_lines(
            rows,
            x=connectivity_axis(rows["connectivity"].min()),
            accuracy="best_test_accuracy",
            colours=family_colours(labels),
            y_title=BEST_TITLE,
        ),
    )
    note = "Connectivity 1 is the dense baseline; to the left the nets are wider and sparser"
    title = "Families of ResNet-18: accuracy against connectivity"
    return [Picture("figure-11", resnet_chart(chart, title, scale, note, PICKED), _finding(means))]


def _finding(means: pd.DataFrame) -> str:
    sentences = []
    for title, rows in titles(means.dropna(subset="best_test_accuracy")):
        for base_width, family in rows.groupby("base_width"):
            best = family.sort_values("best_test_accuracy").iloc[-1]
            sentences.append(
                f"{title}, base width {base_width}: best {best.best_test_accuracy:.1%} at "
                f"connectivity {best.connectivity:.2g} (width {best.width})."
            )
    return " ".join(sentences)


EXPERIMENT = Experiment(
    name="figure-11",
    title="ResNet-18 with few and with many weights: accuracy against connectivity",
    question="Is the best connectivity the same for nets with few and with many weights?",
    source="Golubeva et al. 2021, Appendix E, Figure 11",
    scales=SCALES,
    summarise=summarise,
    draw=draw,
)
