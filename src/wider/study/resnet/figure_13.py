"""Figure 13: how well the families of Figure 5 fit their training images."""

import pandas as pd

from wider.charts import connectivity_axis, of_seeds
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.resnet import width_claims
from wider.study.resnet.charts import (
    resnet_chart,
    titles,
)
from wider.study.resnet.families import SCALES, family_panels, summarise


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Training accuracy against connectivity, a line per family, a panel per dataset."""
    means = summarise(table)
    chart = family_panels(
        table,
        x=lambda rows: connectivity_axis(rows["connectivity"].min()),
        accuracy="final_train_accuracy",
        y_title="training accuracy, last epoch",
    )
    note = f"Over the epoch's augmented images, each before its own step; {of_seeds(means)}"
    title = "Families of ResNet-18: training accuracy against connectivity"
    return [
        Picture(
            "figure-13",
            resnet_chart(chart, title, scale, table, note),
            _finding(table, means),
        )
    ]


def _finding(table: pd.DataFrame, means: pd.DataFrame) -> str:
    sentences = []
    for title, rows in titles(table, means.dropna(subset="final_train_accuracy")):
        for base_width, family in rows.groupby("base_width"):
            fits = family.sort_values("final_train_accuracy").iloc[-1]
            generalises = family.sort_values("best_test_accuracy").iloc[-1]
            sentences.append(
                f"{title}, base width {base_width}: training accuracy is highest "
                f"({fits.final_train_accuracy:.1%}) at width {fits.width}, test accuracy at width "
                f"{generalises.width}."
            )
    return " ".join(sentences)


EXPERIMENT = Experiment(
    name="figure-13",
    title="ResNet-18 with few and with many weights: training accuracy",
    question="Does test accuracy fall where training accuracy falls?",
    source="Golubeva et al. 2021, Appendix E, Figure 13",
    scales=SCALES,
    summarise=summarise,
    draw=draw,
    claims=width_claims.FIGURE_13,
)
