"""Figure 12: what widening gains on ImageNet, with as many weights and with more."""

import pandas as pd

from wider.charts import BLUE, ORANGE, accuracy_lines, width_axis
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.paper import accuracies_of_table_1, dataset_title
from wider.study.resnet.charts import WIDTH_TITLE, picked, resnet_chart
from wider.study.resnet.imagenet import METHODS, SCALES, paper_rows, summarise


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """The gain on the baseline against the width; the data are those of Table 1."""
    means = summarise(table)
    ours, paper = _gains(means, means["base_width"].iloc[0]), _gains(paper_rows(), 64)
    widths = sorted({*ours["width"], *paper["width"]})
    chart = accuracy_lines(
        ours,
        x=width_axis(widths, WIDTH_TITLE),
        accuracy="gain",
        colours=dict(zip(METHODS.values(), (BLUE, ORANGE), strict=True)),
        y_title="gain in test accuracy, best epoch",
        diamonds=paper,
    )
    lines = [dataset_title(table, "imagenet"), picked(means)]
    title = "ImageNet: what widening gains on the baseline"
    return [Picture("figure-12", resnet_chart(chart, title, scale, table, *lines), _finding(ours))]


def _gains(rows: pd.DataFrame, base_width: int) -> pd.DataFrame:
    """Best test accuracies as gains on the net of the base width, which is left out."""
    baseline = rows.loc[rows["width"] == base_width, "best_test_accuracy"].max()
    wider = rows[rows["width"] > base_width]
    gains = wider.assign(
        gain=wider["best_test_accuracy"] - baseline, net=wider["method"].map(METHODS)
    )
    if "best_test_accuracy_interval" in gains:  # of the net's own accuracy
        gains["gain_interval"] = gains["best_test_accuracy_interval"]
    return gains.dropna(subset="gain")


def _finding(gains: pd.DataFrame) -> str:
    if gains.empty:
        return "No net wider than the baseline has been trained yet, or no baseline."
    return "; ".join(
        f"{method}, width {width}: {100 * gain:+.2f} points"
        for method, width, gain in zip(gains["method"], gains["width"], gains["gain"], strict=True)
    )


EXPERIMENT = Experiment(
    name="figure-12",
    title="ResNet-18 on ImageNet: gains by width",
    question="How much of the gain of wide dense nets do sparse ones with as many weights as the "
    "baseline have?",
    source="Golubeva et al. 2021, Appendix E, Figure 12; data of Table 1",
    scales=SCALES,
    summarise=summarise,
    draw=draw,
    paper=accuracies_of_table_1(),
)
