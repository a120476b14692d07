"""Figure 5: families of ResNet-18 with few and with many weights; accuracy against width."""

import pandas as pd

from wider.experiments import _resnet_claims
from wider.experiments._experiment import Experiment, Picture, Scale
from wider.experiments._families import SCALES, family_panels, summarise
from wider.experiments._resnet_charts import (
    BEST_TITLE,
    PICKED,
    WIDTH_TITLE,
    listed,
    resnet_chart,
    titles,
)
from wider.experiments.charts import width_axis


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width, a line per family, a panel per dataset."""
    chart = family_panels(
        table,
        x=lambda rows: width_axis(sorted(rows["width"].unique().tolist()), WIDTH_TITLE),
        accuracy="best_test_accuracy",
        y_title=BEST_TITLE,
    )
    note = "The first point of each line is the dense baseline, the others have as many weights"
    title = "Families of ResNet-18: accuracy against width at equal weights"
    return [
        Picture(
            "figure-5", resnet_chart(chart, title, scale, note, PICKED), _finding(summarise(table))
        )
    ]


def _finding(means: pd.DataFrame) -> str:
    return " ".join(
        f"{title}, base width {base_width}: {listed(family)}."
        for title, rows in titles(means)
        for base_width, family in rows.groupby("base_width")
    )


EXPERIMENT = Experiment(
    name="figure-5",
    title="ResNet-18 with few and with many weights: accuracy against width",
    question="For which numbers of weights does a wider, sparser ResNet-18 gain, and up to which "
    "width?",
    source="Golubeva et al. 2021, Figure 5; its version with error bars is the same picture",
    scales=SCALES,
    summarise=summarise,
    draw=draw,
    claims=_resnet_claims.FIGURE_5,
)
