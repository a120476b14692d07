"""Accuracy against width at equal weights, a small chart for each dataset: the first picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from wider.charts import BLUE, GREY, ORANGE, finish
from wider.drawing import Drawing, layered, together
from wider.report._sections import Section
from wider.study import IN_PAPER, Picture, dataset_title

SPARSE, DENSE = "sparse: as many weights at every width", "dense: more weights the wider"
COLOURS = {SPARSE: BLUE, DENSE: ORANGE}
SHAPES = {SPARSE: "circle", DENSE: "square"}
ORDER = ["mnist", "cifar10", "cifar100", "svhn", "imagenet"]  # from the easiest
ACCURACY = "best_test_accuracy"
ACROSS = 760  # pixels for all panels side by side
WIDEST, HIGH = 300, 220
Y_AXIS = {"title": None, "axis": alt.Axis(format="~%", tickCount=5)}


@dataclass(frozen=True)
class Panel:
    """One small chart.

    Attributes:
        title: images and net.
        note: the scale of the runs.
        ours: one row per net, with its line in "net", "width", the accuracy, and the interval's
            ends in "low" and "high".
        paper: the same without an interval; empty where the paper prints no number.
    """

    title: str
    note: str
    ours: pd.DataFrame
    paper: pd.DataFrame


def overview(sections: Sequence[Section]) -> Picture | None:
    """The picture; None without any run of Figures 1 and 4 and Table 1.

    Args:
        sections: of the page, the largest scale of an experiment first.
    """
    panels: dict[str, Panel] = {}
    for section in sections:
        if section.num_runs:
            for dataset, panel in _panels(section):
                panels.setdefault(dataset, panel)  # of the largest scale
    if not panels:
        return None
    found = [panels[dataset] for dataset in sorted(panels, key=ORDER.index)]
    width = min(WIDEST, ACROSS // len(found))
    drawings = [_drawn(panel, width) for panel in found]
    chart = together("concat", drawings, independent=["x", "y"], columns=len(found), spacing=28)
    marks = "Line: mean over seeds. Bars: 95% intervals. Dashed: the dense net of as many weights."
    if any(len(panel.paper) for panel in found):
        marks += " Diamonds: the paper."
    finished_chart = finish(
        chart,
        "Test accuracy against width",
        [marks, "Best epoch, picked on the test set as in the paper"],
    )
    return Picture("answer", finished_chart, " ".join(map(_caption, found)))


def _panels(section: Section) -> Iterator[tuple[str, Panel]]:
    """Each dataset of a section that has one, and its panel."""
    name, summary = section.name, section.summary
    if name == "figure-4":
        relu = (summary["activation"] == "relu") & (summary["output_connectivity"] == 1)
        paper = section.paper
        own = paper[paper["activation"] == "relu"] if len(paper) else paper
        yield "mnist", _panel(section, "mnist", "MLP", summary[relu], own.assign(method="sparse"))
    if name in ("figure-1", "table-1"):
        named = summary if "dataset" in summary else summary.assign(dataset="imagenet")
        for dataset, rows in named.groupby("dataset"):
            paper = section.paper if dataset == "imagenet" else pd.DataFrame()
            largest = rows[rows["base_width"] == rows["base_width"].max()]
            yield str(dataset), _panel(section, str(dataset), "ResNet-18", largest, paper)


def _panel(
    section: Section, dataset: str, net: str, rows: pd.DataFrame, paper: pd.DataFrame
) -> Panel:
    method = rows["method"] if "method" in rows else pd.Series("sparse", index=rows.index)
    ours = rows.assign(
        net=method.map({"sparse": SPARSE, "dense": DENSE}),
        low=rows[ACCURACY] - rows[f"{ACCURACY}_interval"],
        high=rows[ACCURACY] + rows[f"{ACCURACY}_interval"],
    )
    weights = f"{rows['num_weights'].min():,} weights"
    columns = ["net", "width", ACCURACY, "low", "high", "seeds", "num_weights"]
    points = pd.DataFrame(columns=["net", "width", ACCURACY])
    if len(paper):
        nets = paper["method"].map({"sparse": SPARSE, "dense": DENSE})
        points = pd.DataFrame({"net": nets, "width": paper["width"], ACCURACY: paper[IN_PAPER]})
    title = f"{dataset_title(section.table, dataset)}, {net}, {weights}"
    epochs = sorted(section.table.loc[section.table["dataset"] == dataset, "epochs"].unique())
    seeds = sorted(ours["seeds"].unique())
    note = (
        f"scale {section.scale_name}: {_range(epochs)} epochs, {_range(seeds)} "
        f"{'seed' if seeds == [1] else 'seeds'}"
    )
    return Panel(title, note, ours[columns], points)


def _range(values: Sequence[int]) -> str:
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _drawn(panel: Panel, width: int) -> Drawing:
    widths = sorted({*panel.ours["width"], *panel.paper["width"]})
    ends = [0.8 * widths[0], 1.25 * widths[-1]]
    x = alt.X(
        "width:Q",
        scale=alt.Scale(type="log", base=2, domain=ends, nice=False),
        axis=alt.Axis(values=widths, labelAngle=0),
        title="width",
    )
    legend = alt.Legend(title=None, orient="bottom", direction="vertical", labelLimit=400)
    scales = [alt.Scale(domain=list(each), range=list(each.values())) for each in (COLOURS, SHAPES)]
    colour = alt.Color("net:N", scale=scales[0], legend=legend)
    shape = alt.Shape("net:N", scale=scales[1], legend=legend)
    y = alt.Y(f"{ACCURACY}:Q", scale=alt.Scale(zero=False, nice=False, padding=12), **Y_AXIS)
    ours = alt.Chart(panel.ours).encode(x=x, y=y, color=colour)
    level = panel.ours.sort_values("width").head(1)
    tooltip = [
        alt.Tooltip("net:N"),
        alt.Tooltip("width:Q"),
        alt.Tooltip(f"{ACCURACY}:Q", title="best epoch", format=".2%"),
        alt.Tooltip("seeds:Q"),
        alt.Tooltip("num_weights:Q", title="weights", format=","),
    ]
    layers = [
        alt.Chart(level).mark_rule(color=GREY, strokeDash=[6, 4]).encode(y=y),
        ours.mark_line(strokeWidth=2),
        ours.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", **Y_AXIS), y2=alt.Y2("high:Q")),
        ours.mark_point(size=50, filled=True, opacity=1).encode(shape=shape, tooltip=tooltip),
    ]
    if len(panel.paper):
        paper = alt.Chart(panel.paper).encode(x=x, y=y, color=colour)
        layers.append(paper.mark_point(shape="diamond", size=90, strokeWidth=2, opacity=1))
    title = alt.TitleParams(
        panel.title.split(", ", 1)[0],
        subtitle=[panel.title.split(", ", 1)[1], panel.note],
        anchor="start",
        fontSize=13,
    )
    return layered(*layers).properties(width=width, height=HIGH, title=title)


def _caption(panel: Panel) -> str:
    sparse = panel.ours[panel.ours["net"] == SPARSE].dropna(subset=ACCURACY).sort_values("width")
    if sparse.empty:
        return ""
    baseline, best = sparse.iloc[0], sparse.sort_values(ACCURACY).iloc[-1]
    text = (
        f"{panel.title} ({panel.note}): the dense net reaches {baseline[ACCURACY]:.1%} at width "
        f"{baseline['width']}, the best sparse one {best[ACCURACY]:.1%} at width {best['width']}"
    )
    dense = panel.ours[(panel.ours["net"] == DENSE) & (panel.ours["width"] == best["width"])]
    if len(dense) and best["width"] != baseline["width"]:
        text += f", and a dense net of that width {dense[ACCURACY].iloc[0]:.1%}"
    return text + "."
