"""Figure 5: families of ResNet-18 with few and with many weights; accuracy against width."""

import pandas as pd

from wider.charts import width_axis
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.resnet import width_claims
from wider.study.resnet.charts import (
    BEST_TITLE,
    WIDTH_TITLE,
    listed,
    picked,
    resnet_chart,
    titles,
)
from wider.study.resnet.families import SCALES, family_panels, summarise

# What others found with the code that the paper's authors published: base width 8, one seed (888),
# best epoch, nominally 300 epochs. The repository AMNoureldin/COMP551-HW4 on GitHub.
REPLICATION_WIDTHS = (8, 18, 32, 48, 64, 80)
REPLICATION = {
    "cifar10": (0.8902, 0.9184, 0.9206, 0.9227, 0.9188, 0.9197),
    "cifar100": (0.6239, 0.6849, 0.6860, 0.6882, 0.6922, 0.6859),
    "svhn": (0.9587, 0.9622, 0.9601, 0.9607, 0.9593, 0.9592),
}


def replication() -> pd.DataFrame:
    """Those accuracies, one row per net, in our columns."""
    return pd.DataFrame(
        [
            {"dataset": name, "base_width": 8, "width": width, "best_test_accuracy": accuracy}
            for name, accuracies in REPLICATION.items()
            for width, accuracy in zip(REPLICATION_WIDTHS, accuracies, strict=True)
        ]
    )


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Accuracy against width, a line per family, a panel per dataset."""
    means = summarise(table)
    chart = family_panels(
        table,
        x=lambda rows: width_axis(sorted(rows["width"].unique().tolist()), WIDTH_TITLE),
        accuracy="best_test_accuracy",
        y_title=BEST_TITLE,
        others=replication(),
        others_name="a public replication",
    )
    lines = ["The first point of each line is the dense baseline, the others have as many weights"]
    if table["base_width"].eq(8).any():
        lines.append("The public replication: base width 8, 300 epochs, original images, one seed")
    title = "Families of ResNet-18: accuracy against width at equal weights"
    return [
        Picture(
            "figure-5",
            resnet_chart(chart, title, scale, table, *lines, picked(means)),
            _finding(table, means),
        )
    ]


def _finding(table: pd.DataFrame, means: pd.DataFrame) -> str:
    return " ".join(
        f"{title}, base width {base_width}: {listed(family)}."
        for title, rows in titles(table, means)
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
    claims=width_claims.FIGURE_5,
)
