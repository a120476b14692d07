"""What charts have in common."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from wider.drawing import Drawing, layered

# Okabe and Ito's colours, told apart by readers with any common colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"
PURPLE, BLACK = "#CC79A7", "#1a1a1a"
PALE_BLUE, PAPER = "#cfe2ef", "#ffffff"
LONG_LABEL = 40  # characters, in a legend
MOST_LABELS = 9  # on the axis of widths
SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down"]
LEVEL_DASHES = [6, 4]
FEW_TICKS, MANY_TICKS = 5, 1e4  # spans of an axis for which 1, 2, 5 are too few, and too many
DASHES = [[1, 0], [8, 3], [2, 2], [10, 3, 2, 3], [5, 2]]  # the first one is a solid line

LOOK = {
    "font": "Helvetica Neue, Arial, sans-serif",
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titlePadding": 8, "gridColor": "#e8e8e8"},
    "axisX": {"labelOverlap": "greedy", "labelSeparation": 4},  # of a narrow panel
    "legend": {"labelFontSize": 12, "titleFontSize": 12},
    "header": {"labelFontSize": 13, "titleFontSize": 13},
    "view": {"stroke": "#d0d0d0"},
}

THE_PAPER = "the paper"
BASELINE = "the dense baseline"


def finish(chart: Drawing, title: str, subtitle: list[str]) -> Drawing:
    """Adds the title, the lines under it (the scale among them), and the common look."""
    return chart.properties(
        title=alt.TitleParams(
            title,
            subtitle=subtitle,
            anchor="start",
            fontSize=16,
            subtitleFontSize=12,
            offset=12,
        ),
        background="white",
        padding=14,
        config=LOOK,
    )


def of_seeds(means: pd.DataFrame, *, with_interval: bool = True) -> str:
    """What the points of a chart are, for the lines under its title: means, or one seed.

    Args:
        means: one row per point, with its number of seeds in "seeds".
        with_interval: whether the chart shows intervals where there are some.
    """
    if means["seeds"].max() <= 1:
        return "one seed"
    return f"mean over seeds{' with its 95% interval' if with_interval else ''}"


def log_ticks(lowest: float, highest: float) -> list[float]:
    """Where to label a logarithmic axis from a lowest value to a highest one, evenly.

    Args:
        lowest: above 0; not a number where there is nothing to show.
        highest: likewise.
    """
    if not 0 < lowest < highest:
        return []
    span = highest / lowest
    mantissas = range(1, 10) if span < FEW_TICKS else (1, 2, 5) if span < MANY_TICKS else (1,)
    powers = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    ticks = [float(f"{mantissa}e{power}") for power in powers for mantissa in mantissas]
    return [tick for tick in ticks if lowest <= tick <= highest]


def diamond_key(name: str) -> alt.StrokeWidth:
    """An entry of the legend for open diamonds of any colour, as their encoding of stroke width.

    Args:
        name: what they are; also what they have in the column "key".
    """
    legend = _key_legend(symbolType="diamond", symbolFillColor="transparent")
    return alt.StrokeWidth("key:O", scale=_only(name, 2), legend=legend)


def _level_key(name: str) -> alt.StrokeDash:
    legend = _key_legend(symbolType="stroke", symbolSize=300, symbolStrokeWidth=1.5)
    return alt.StrokeDash("key:N", scale=_only(name, LEVEL_DASHES), legend=legend)


def _key_legend(**symbol: Any) -> alt.Legend:
    return alt.Legend(title=None, orient="bottom", labelLimit=400, symbolStrokeColor=GREY, **symbol)


def _only(name: str, value: Any) -> alt.Scale:
    # Ordinal, since what Vega-Lite would choose has no value for a single name.
    return alt.Scale(type="ordinal", domain=[name], range=[value])


def width_axis(widths: Sequence[int], title: str) -> alt.X:
    """A logarithmic axis of the column "width".

    Args:
        widths: that are labelled; instead of many, powers of two.
        title: of the axis.
    """
    lowest, highest = min(widths), max(widths)
    labelled = list(widths)
    if len(labelled) > MOST_LABELS:
        labelled = [2**power for power in range(20) if lowest <= 2**power <= highest]
    return alt.X(
        "width:Q",
        scale=alt.Scale(type="log", base=2, domain=[0.8 * lowest, 1.25 * highest], nice=False),
        axis=alt.Axis(values=labelled, labelAngle=0),
        title=title,
    )


def connectivity_axis(lowest: float) -> alt.X:
    """A logarithmic axis of the column "connectivity", from a lowest value to 1."""
    return alt.X(
        "connectivity:Q",
        scale=alt.Scale(type="log", domain=[0.8 * lowest, 1.25], nice=False),
        axis=alt.Axis(values=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1], format="~g", labelAngle=0),
        title="connectivity",
    )


def accuracy_lines(
    means: pd.DataFrame,
    *,
    x: alt.X,
    accuracy: str,
    colours: Mapping[str, str],
    y_title: str,
    diamonds: pd.DataFrame | None = None,
    diamonds_name: str = THE_PAPER,
    dashed: pd.DataFrame | None = None,
    dashed_name: str = BASELINE,
    number_format: str = "~%",
) -> Drawing:
    """A line per kind of net, with the 95% interval over seeds at each point.

    Args:
        means: one row per point, as `over_seeds` returns them, with the kind of net in "net".
        x: the horizontal axis; see `width_axis`.
        accuracy: the column to show, such as "best_test_accuracy".
        colours: {kind of net: its colour}, in the order of the legend.
        y_title: of the vertical axis.
        diamonds: further points, with the columns "net", that of `x`, and `accuracy`.
        diamonds_name: what they are called in the legend.
        dashed: levels to draw from side to side, with the columns "net" and `accuracy`.
        dashed_name: what they are called in the legend.
        number_format: of the vertical axis; a fraction in percent by default.
    """
    shown = means.assign(
        low=means[accuracy] - means[f"{accuracy}_interval"],
        high=means[accuracy] + means[f"{accuracy}_interval"],
    )
    colour, shape, dash = _by_net(colours)
    y_axis: dict[str, Any] = {
        "axis": alt.Axis(format=number_format, tickCount=6),
        "title": y_title,
    }
    # Not nice: a label at the upper end would lift the panel's title over those beside it.
    y = alt.Y(f"{accuracy}:Q", scale=alt.Scale(zero=False, nice=False, padding=12), **y_axis)
    base = alt.Chart(shown).encode(x=x, y=y, color=colour)
    layers = [base.mark_line(strokeWidth=2).encode(strokeDash=dash)]
    if shown["low"].notna().any():
        intervals = base.encode(y=alt.Y("low:Q", **y_axis), y2=alt.Y2("high:Q"))
        layers.append(intervals.mark_rule(strokeWidth=1.5))
    points = base.encode(shape=shape, tooltip=_tooltip(shown))
    layers.append(points.mark_point(size=55, opacity=1, filled=True))
    if diamonds is not None:
        others = alt.Chart(diamonds.assign(key=diamonds_name)).encode(x=x, y=y, color=colour)
        drawn = others.mark_point(shape="diamond", size=90, opacity=1)
        layers.append(drawn.encode(strokeWidth=diamond_key(diamonds_name)))
    if dashed is not None:
        levels = alt.Chart(dashed.assign(key=dashed_name)).encode(y=y, color=colour)
        drawn = levels.mark_rule(strokeWidth=1.5)
        layers.append(drawn.encode(strokeDash=_level_key(dashed_name)))
    return layered(*layers).properties(width=520, height=320)


def _by_net(colours: Mapping[str, str]) -> tuple[alt.Color, alt.Shape, alt.StrokeDashValue]:
    """Colour, shape and dashes of the kinds in "net", which are told apart without colour, too."""
    kinds = list(colours)
    legend = alt.Legend(
        title=None,
        orient="bottom",
        direction="vertical",
        labelLimit=400,
        columns=1 if len(kinds) <= 3 or max(map(len, kinds)) > LONG_LABEL else 2,
        symbolOpacity=1,
    )
    colour = alt.Color(
        "net:N", scale=alt.Scale(domain=kinds, range=list(colours.values())), legend=legend
    )
    shape = alt.Shape(
        "net:N", scale=alt.Scale(domain=kinds, range=SHAPES[: len(kinds)]), legend=legend
    )
    # Without a scale, which charts with other kinds of nets beside this one would have to share.
    dash = alt.StrokeDashValue(
        DASHES[0],
        condition=[
            {"test": {"field": "net", "equal": kind}, "value": dashes}
            for kind, dashes in zip(kinds, DASHES, strict=False)
        ],
    )
    return colour, shape, dash


def _tooltip(shown: pd.DataFrame) -> list[alt.Tooltip]:
    titles = {
        "best_test_accuracy": "best epoch",
        "final_test_accuracy": "last epoch",
        "final_train_accuracy": "training, last epoch",
        "best_test_accuracy_interval": "best, 95% interval ±",
        "final_test_accuracy_interval": "last, 95% interval ±",
    }
    plain = [name for name in ("net", "width", "output_connectivity", "seeds") if name in shown]
    counts = {
        "num_weights": "weights",
        "num_effective_weights": "effective weights",
        "multiply_adds": "multiply-adds an example",
    }
    metrics = {
        name.replace("accuracy", "metric"): title
        for name, title in titles.items()
        if name.replace("accuracy", "metric") in shown
    }
    formats = dict.fromkeys(metrics, ".4g") if metrics else dict.fromkeys(titles, ".2%")
    return [
        *(alt.Tooltip(name, title=name.replace("_", " ")) for name in plain),
        *(alt.Tooltip(name, title=title, format=",") for name, title in counts.items()),
        *(
            alt.Tooltip(name, title=(metrics or titles)[name], format=shape)
            for name, shape in formats.items()
        ),
    ]
