"""Table 1: ResNet-18 on ImageNet."""

import altair as alt
import pandas as pd

from wider.charts import BLACK, GREY
from wider.drawing import single_mark
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.paper import accuracies_of_table_1, dataset_title
from wider.study.resnet import weights_claims
from wider.study.resnet.charts import listed, resnet_chart
from wider.study.resnet.imagenet import SCALES, paper_rows, summarise

LINES = ["dense", "dense, paper", "sparse", "sparse, paper"]


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """The table as a picture, ours above the paper's."""
    ours = summarise(table)
    # The baseline stands in the dense line only, as in the paper.
    ours = ours[~((ours["method"] == "sparse") & (ours["width"] == ours["base_width"]))]
    paper = paper_rows().assign(line=lambda rows: rows["method"] + ", paper")
    shown = pd.concat([ours.assign(line=ours["method"]), paper]).dropna(subset="best_test_accuracy")
    shown["text"] = [
        f"{100 * accuracy:.2f} ({_millions(count)})"
        for accuracy, count in zip(shown["best_test_accuracy"], shown["num_weights"], strict=True)
    ]
    shown["ours"] = ~shown["line"].str.endswith("paper")
    text = (
        alt.Chart(shown)
        .mark_text(fontSize=14)
        .encode(
            x=alt.X(
                "width:O", axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False)
            ),
            y=alt.Y(
                "line:N",
                sort=LINES,
                scale=alt.Scale(domain=LINES),
                axis=alt.Axis(domain=False, ticks=False, labelLimit=200),
                title=None,
            ),
            text=alt.Text("text:N"),
            color=alt.ColorValue(GREY, condition={"test": "datum.ours", "value": BLACK}),
            tooltip=[
                alt.Tooltip("line:N"),
                alt.Tooltip("width:O"),
                alt.Tooltip("num_weights:Q", format=","),
            ],
        )
    )
    chart = single_mark(text).properties(width=110 * shown["width"].nunique(), height=170)
    note = "Top-1 test accuracy in %, best epoch, picked on the test set as in the paper; in "
    lines = [dataset_title(table, "imagenet"), note + "parentheses the number of weights"]
    title = "Table 1: ResNet-18 on ImageNet"
    return [Picture("table-1", resnet_chart(chart, title, scale, table, *lines), _finding(ours))]


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count:,}"


def _finding(means: pd.DataFrame) -> str:
    return "; ".join(
        f"{method}: {listed(rows) or 'not run'}" for method, rows in means.groupby("method")
    )


EXPERIMENT = Experiment(
    name="table-1",
    title="ResNet-18 on ImageNet: dense and sparse nets by width",
    question="On ImageNet, how far does width alone carry a net of 11.7 million weights?",
    source="Golubeva et al. 2021, Table 1",
    scales=SCALES,
    summarise=summarise,
    draw=draw,
    claims=weights_claims.TABLE_1,
    paper=accuracies_of_table_1(),
)
