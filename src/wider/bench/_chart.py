"""A line per peer, in one panel or several."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from wider.bench._suite import CHANNELS_LAST, CSR, DENSE, MASKED, NATIVE, SPARSEPROP
from wider.charts import BLUE, GREEN, GREY, ORANGE, finish, log_ticks
from wider.drawing import Drawing, layered, together

BLACK, PURPLE = "#000000", "#CC79A7"
STYLES = {  # shapes too, so that colour is not all that tells lines apart
    NATIVE: (BLUE, "circle"),
    MASKED: (ORANGE, "square"),
    DENSE: (GREY, "triangle-up"),
    CHANNELS_LAST: (BLACK, "triangle-down"),
    CSR: (GREEN, "diamond"),
    SPARSEPROP: (PURPLE, "cross"),
}
WIDTH, HEIGHT = 600, 320
NARROW_WIDTH, NARROW_HEIGHT = 360, 240
COLUMNS = 2
SPACING = {"row": 90, "column": 80}  # for the axes
DASHED = 28  # pixels from above to where a dashed line begins, below the numbers
TOP, BOTTOM = 34, 26  # pixels without lines: for numbers, and for the words beside a dashed line


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes:
        title: above it; "" for none.
        points: rows with "peer", "x", "y", and "lower" and "upper" around y.
        numbers: rows with "x" and the "ratio" to write above it.
        equal: where to draw a dashed line across.
    """

    title: str
    points: pd.DataFrame
    numbers: pd.DataFrame | None = None
    equal: float | None = None


def draw(
    panels: Sequence[Panel], *, title: str, subtitle: list[str], x_title: str, y_title: str
) -> Drawing:
    """Panels side by side, all axes logarithmic.

    Args:
        panels: one or more.
        title: of the whole chart.
        subtitle: the lines below it.
        x_title: of the horizontal axes.
        y_title: of the vertical axes.
    """
    present = {name for panel in panels for name in panel.points["peer"]}
    names = [name for name in STYLES if name in present]
    if len(panels) == 1:
        (chart,) = (_lines(panel, names, x_title, y_title, HEIGHT) for panel in panels)
        return finish(chart.properties(width=WIDTH, height=HEIGHT), title, subtitle)
    charts = [
        _lines(panel, names, x_title, y_title, NARROW_HEIGHT).properties(
            title=panel.title, width=NARROW_WIDTH, height=NARROW_HEIGHT
        )
        for panel in panels
    ]
    chart = together("concat", charts, columns=COLUMNS, bounds="flush", spacing=SPACING)
    return finish(chart, title, subtitle)


def as_factor(ratio: float) -> str:
    """How many times as much one peer takes as another, such as "0.80x", "5.2x" or "12x".

    Two digits, or all of a larger number.

    Args:
        ratio: of two times or sizes.
    """
    if float(f"{ratio:.2g}") >= 10:
        return f"{float(f'{ratio:.2g}') if ratio < 100 else ratio:,.0f}x"
    return f"{ratio:#.2g}x"


def _lines(panel: Panel, names: Sequence[str], x_title: str, y_title: str, height: int) -> Drawing:
    ticks = sorted(panel.points["x"].unique().tolist())
    x = alt.X(
        "x:Q",
        title=x_title,
        scale=alt.Scale(type="log", nice=False, padding=28),
        axis=alt.Axis(values=ticks, grid=False, format=",~r", labelAngle=0, labelOverlap=False),
    )
    low, high = _domain(panel.points, height)
    y = alt.Y(
        "y:Q",
        title=y_title,
        scale=alt.Scale(type="log", nice=False, domain=[low, high]),
        # None further up, where it would cross the numbers.
        axis=alt.Axis(
            values=log_ticks(low, high * (low / high) ** (DASHED / height)), format=",~r"
        ),
    )
    colours, shapes = zip(*(STYLES[name] for name in names), strict=True)
    legend = alt.Legend(title=None, orient="bottom", labelLimit=300)
    colour = alt.Color("peer:N", scale=alt.Scale(domain=names, range=colours), legend=legend)
    shape = alt.Shape("peer:N", scale=alt.Scale(domain=names, range=shapes), legend=legend)
    base = alt.Chart(panel.points).encode(x=x, y=y, color=colour)
    layers = [
        base.mark_line(strokeWidth=2),
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("lower:Q", title=y_title), y2="upper:Q"),
        base.mark_point(filled=True, size=60, opacity=1).encode(shape=shape),
    ]
    if panel.numbers is not None:
        layers.append(_number_marks(panel.numbers))
    if panel.equal is not None:
        layers += _equal_marks(panel.equal, ticks, height)
    return layered(*layers)


def _domain(points: pd.DataFrame, height: int) -> list[float]:
    """Of the vertical axis, so that all lines are between `TOP` and `BOTTOM`."""
    low, high = points["lower"].min(), points["upper"].max()
    pixel = max(math.log(high / low), math.log(2)) / (height - TOP - BOTTOM)
    return [low * math.exp(-BOTTOM * pixel), high * math.exp(TOP * pixel)]


def _number_marks(numbers: pd.DataFrame) -> alt.Chart:
    shown = numbers.assign(text=numbers["ratio"].map(as_factor))
    return (
        alt.Chart(shown)
        .mark_text(fontSize=11, color=BLUE)
        .encode(x="x:Q", y=alt.value(TOP / 2), text="text:N")
    )


def _equal_marks(equal: float, ticks: Sequence[float], height: int) -> list[alt.Chart]:
    base = alt.Chart(pd.DataFrame({"x": [equal], "text": [f"equal at {equal:.2g}"]}))
    # The words towards the middle, so that they stay inside the panel.
    is_right = equal**2 > ticks[0] * ticks[-1]
    return [
        base.mark_rule(strokeDash=[5, 4], color=BLACK).encode(
            x="x:Q", y=alt.value(DASHED), y2=alt.value(height)
        ),
        base.mark_text(
            fontSize=12, align="right" if is_right else "left", dx=-5 if is_right else 5
        ).encode(x="x:Q", y=alt.value(height - BOTTOM / 2), text="text:N"),
    ]
