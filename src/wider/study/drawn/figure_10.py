"""Figure 10: the weights that each layer of ResNet-18 keeps, at several widths."""

import altair as alt
import pandas as pd
import torch

from wider.charts import BLUE, PAPER, finish
from wider.drawing import Drawing, layered, together
from wider.families import Family
from wider.models import ResNet18
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.drawn.figure_8 import LAYER_TOOLTIP, equal_shares, level_allocation

BASE_WIDTH, NUM_CLASSES = 8, 100
WIDTHS = (8, 16, 32, 64, 128)


def summarise(_table: pd.DataFrame) -> pd.DataFrame:
    """One row per width and layer, with the weights stored and kept; reads no runs."""
    family = Family(ResNet18, base_width=BASE_WIDTH, num_classes=NUM_CLASSES)
    tables = []
    for width in WIDTHS:
        # Shapes are enough, and the widest net would take a few hundred megabytes.
        with torch.device("meta"):
            net = family.dense(width)
        table = level_allocation(net, family.num_weights)
        table.insert(0, "width", width)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """A panel per width, with the weights stored and kept of every layer."""
    shown = summarise(table)
    panels = [_panel(shown, width, with_names=width == WIDTHS[0]) for width in WIDTHS]
    num_weights = shown[shown["width"] == BASE_WIDTH]["weights_kept"].sum()
    chart = finish(
        together("hconcat", panels, spacing=12),
        f"ResNet-18 of {num_weights:,} weights: where they are, at several widths",
        [
            f"{NUM_CLASSES} classes (CIFAR-100), base width {BASE_WIDTH}, level allocation; "
            f"{scale.label}",
            "Dot: weights kept. Ring: weights of a layer that keeps fewer, in the dense net. The "
            "longer the line, the smaller the connectivity",
        ],
    )
    return [Picture("figure-10", chart, _caption(shown))]


def _panel(shown: pd.DataFrame, width: int, *, with_names: bool) -> Drawing:
    rows = shown[shown["width"] == width]
    connectivity = rows["weights_kept"].sum() / rows["weights_stored"].sum()
    weights = shown["weights_stored"]
    names = alt.Axis(grid=True, labels=with_names, ticks=with_names, labelLimit=240, minExtent=0)
    base = alt.Chart(rows).encode(
        y=alt.Y("layer:N", sort=rows["layer"].tolist(), axis=names, title=None),
        tooltip=LAYER_TOOLTIP,
    )
    stored = alt.X(
        "weights_stored:Q",
        scale=alt.Scale(type="log", domain=[weights.min() / 2, 2 * weights.max()], nice=False),
        axis=alt.Axis(values=[100, 10_000, 1_000_000], format="~s"),
        title="weights (log)",
    )
    return layered(
        base.mark_rule(color=BLUE, opacity=0.5).encode(x=stored, x2=alt.X2("weights_kept:Q")),
        base.transform_filter("datum.connectivity < 1")
        .mark_point(color=BLUE, filled=False, fill=PAPER, size=40, opacity=1)
        .encode(x=stored),
        base.mark_circle(color=BLUE, size=50, opacity=1).encode(x=alt.X("weights_kept:Q")),
    ).properties(
        width=140,
        height=20 * len(rows),
        title=alt.TitleParams(
            f"Width {width}",
            subtitle=f"connectivity {connectivity:.2g}",
            anchor="start",
            frame="group",
            fontSize=13,
        ),
    )


def _caption(shown: pd.DataFrame) -> str:
    dense = shown[shown["width"] == BASE_WIDTH]["weights_kept"]
    widest = shown[shown["width"] == max(WIDTHS)]
    cut = widest[widest["connectivity"] < 1]
    return (
        f"At width {BASE_WIDTH} the layers have {dense.min():,} to {dense.max():,} weights; at "
        f"width {max(WIDTHS)}, {len(cut)} of {len(widest)} layers keep "
        f"{equal_shares(cut['weights_kept'])} each, at "
        f"connectivities from {cut['connectivity'].max():.2g} down to "
        f"{cut['connectivity'].min():.2g}."
    )


SCALES = [
    Scale(
        "paper",
        f"widths {', '.join(map(str, WIDTHS))}, nothing to train",
        lambda: [],
    ),
]

EXPERIMENT = Experiment(
    name="figure-10",
    title="ResNet-18: the weights that each layer keeps, at several widths",
    question="Where does a net of constant weights have them as it grows wider?",
    source="Golubeva et al. 2021, Appendix D, Figure 10",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
)
