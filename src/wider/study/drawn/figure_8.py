"""Figure 8: level allocation, one step after the other."""

import math
from collections import OrderedDict

import altair as alt
import pandas as pd
from torch import nn

from wider.charts import BLUE, PALE_BLUE, finish
from wider.drawing import Drawing, layered, together
from wider.families import Family
from wider.models import BasicBlock
from wider.sparsity import allocate, weight_layers
from wider.study._experiment import Experiment, Picture, Scale

BASE_WIDTH, WIDTH = 5, 8
LAYER_TOOLTIP = [
    alt.Tooltip("layer:N"),
    alt.Tooltip("weights_stored:Q", title="weights stored", format=",d"),
    alt.Tooltip("weights_kept:Q", title="weights kept", format=",d"),
    alt.Tooltip("connectivity:Q", format=".3g"),
]


def small_resnet(width: int) -> nn.Module:
    """A residual net of two blocks, small enough for all of its layers to be seen at once."""
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(3, width, 3, padding=1, bias=False),
            block_1=BasicBlock(width, width, stride=1),
            block_2=BasicBlock(width, 2 * width, stride=2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            output=nn.Linear(2 * width, 10),
        )
    )


def level_allocation(net: nn.Module, num_weights: int) -> pd.DataFrame:
    """How level allocation divides a budget among the layers of a net.

    Args:
        net: any net; only its shapes are read, so it can be on the meta device.
        num_weights: the budget.

    Returns:
        One row per layer, in the order of the module: its name in "layer", "weights_stored",
        "weights_kept" and "connectivity".

    Raises:
        InputError: the net cannot have that many weights.
    """
    shapes = {name: tuple(layer.weight.shape) for name, layer in weight_layers(net).items()}
    table = pd.DataFrame(
        {
            "layer": list(shapes),
            "weights_stored": [math.prod(shape) for shape in shapes.values()],
            "weights_kept": list(allocate(shapes, num_weights, "level").values()),
        }
    )
    table["connectivity"] = table["weights_kept"] / table["weights_stored"]
    return table


def equal_shares(kept: pd.Series) -> str:
    """The weights kept by layers that share equally, such as "395 or 396"."""
    return " or ".join(f"{count:,}" for count in sorted(kept.unique()))


def steps(net: nn.Module, num_weights: int) -> pd.DataFrame:
    """The net at falling budgets: all of its weights, then those that one more size leaves.

    At each step the largest layers are cut down to the size of the next smaller one, for as long
    as the budget is not reached. The last step is the budget itself.

    Args:
        net: any net; only its shapes are read.
        num_weights: the budget.

    Returns:
        One row per step and layer: "step" from 0, "num_weights" of the net at that step, and the
        columns of `level_allocation`.

    Source:
        Golubeva et al. 2021, Appendix B.
    """
    sizes = [layer.weight.numel() for layer in weight_layers(net).values()]
    levels = sorted(set(sizes), reverse=True)
    budgets = [sum(min(size, level) for size in sizes) for level in levels]
    falling = [budget for budget in budgets if budget > num_weights] + [num_weights]
    tables = []
    for step, budget in enumerate(falling):
        table = level_allocation(net, budget)
        table.insert(0, "step", step)
        table.insert(1, "num_weights", budget)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def summarise(_table: pd.DataFrame) -> pd.DataFrame:
    """One row per step and layer; reads no runs."""
    family = Family(small_resnet, base_width=BASE_WIDTH)
    return steps(family.dense(WIDTH), family.num_weights)


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """A panel per step, a bar per layer."""
    shown = summarise(table)
    panels = [
        _panel(rows, _step_title(rows, last=step == shown["step"].max()), with_names=step == 0)
        for step, rows in shown.groupby("step")
    ]
    chart = finish(
        together("hconcat", panels, spacing=14),
        f"Level allocation takes a net from {shown['num_weights'].max():,} weights to "
        f"{shown['num_weights'].min():,}",
        [
            f"Residual net of two blocks, width {WIDTH}; the budget is that of base width "
            f"{BASE_WIDTH}; {scale.label}",
            "A bar per layer, in the order of the net. Dark, with the number: weights kept; pale: "
            "weights removed",
        ],
    )
    return [Picture("figure-8", chart, _caption(shown))]


def _step_title(rows: pd.DataFrame, *, last: bool) -> list[str]:
    cut = rows[rows["weights_kept"] < rows["weights_stored"]]
    if cut.empty:
        what = "dense"
    else:
        layers = "1 layer" if len(cut) == 1 else f"{len(cut)} layers"
        what = f"{layers} cut to {'equal rest' if last else f'{cut.weights_kept.max():,}'}"
    return [f"{rows['num_weights'].iloc[0]:,} weights", what]


def _panel(rows: pd.DataFrame, title: list[str], *, with_names: bool) -> Drawing:
    largest = int(rows["weights_stored"].max())
    names = alt.Axis(labelLimit=220, labelPadding=6) if with_names else None
    base = alt.Chart(rows).encode(
        y=alt.Y("layer:N", sort=rows["layer"].tolist(), axis=names, title=None),
        tooltip=LAYER_TOOLTIP,
    )
    weights = alt.X(
        "weights_stored:Q",
        # Room for the number beside the longest bar.
        scale=alt.Scale(domain=[0, 1.3 * largest], nice=False),
        axis=alt.Axis(values=list(range(0, largest + 1, 1000)), format=",d"),
        title="weights",
    )
    return layered(
        base.mark_bar(color=PALE_BLUE).encode(x=weights),
        base.mark_bar(color=BLUE).encode(x=alt.X("weights_kept:Q")),
        base.mark_text(align="left", dx=4, fontSize=11).encode(
            x=alt.X("weights_kept:Q"), text=alt.Text("weights_kept:Q", format=",")
        ),
    ).properties(
        width=170,
        height=220,
        title=alt.TitleParams(title, anchor="start", frame="group", fontSize=12),
    )


def _caption(shown: pd.DataFrame) -> str:
    cuts = []
    for _step, rows in shown.groupby("step"):
        cut = rows[rows["weights_kept"] < rows["weights_stored"]]
        if len(cut):
            layers = "layer is" if len(cut) == 1 else "layers are"
            cuts.append(f"{len(cut)} {layers} cut to {equal_shares(cut['weights_kept'])}")
    final = shown[shown["step"] == shown["step"].max()]
    dense = int((final["connectivity"] == 1).sum())
    return (
        f"From {shown['num_weights'].max():,} weights to {shown['num_weights'].min():,}, the "
        f"largest layers first: {', then '.join(cuts)}; {dense} of {len(final)} layers stay dense."
    )


SCALES = [
    Scale("paper", "one small net, nothing to train", lambda: []),
]

EXPERIMENT = Experiment(
    name="figure-8",
    title="Level allocation, step by step",
    question="Which layers give up weights when a wider net is cut down to the budget?",
    source="Golubeva et al. 2021, Appendix B, Figure 8",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
)
