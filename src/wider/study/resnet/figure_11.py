"""Figure 11: the families of Figure 5 against their connectivity."""

import pandas as pd

from wider.charts import connectivity_axis
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.resnet import width_claims
from wider.study.resnet.charts import (
    BEST_TITLE,
    picked,
    resnet_chart,
    titles,
)
from wider.study.resnet.families import SCALES, family_panels, summarise


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against connectivity, a line per family, a panel per dataset."""
    means = summarise(table)
    chart = family_panels(
        table,
        x=lambda rows: connectivity_axis(rows["connectivity"].min()),
        accuracy="best_test_accuracy",
        y_title=BEST_TITLE,
    )
    note = "Connectivity 1 is the dense baseline; to the left the nets are wider and sparser"
    title = "Families of ResNet-18: accuracy against connectivity"
    return [
        Picture(
            "figure-11",
            resnet_chart(chart, title, scale, table, note, picked(means)),
            _finding(table, means),
        )
    ]


def _finding(table: pd.DataFrame, means: pd.DataFrame) -> str:
    sentences = []
    for title, rows in titles(table, means.dropna(subset="best_test_accuracy")):
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
    claims=width_claims.FIGURE_11,
)
