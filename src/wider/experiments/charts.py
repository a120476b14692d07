"""What charts have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

# Okabe and Ito's colours, told apart by readers with any common colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"

FONT = "Helvetica Neue, Arial, sans-serif"


def finish(chart: Any, title: str, subtitle: list[str]) -> Any:
    """Adds the title, the lines under it (the scale among them), and the common look."""
    return (
        chart.properties(
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
        )
        .configure(font=FONT)
        .configure_axis(labelFontSize=12, titleFontSize=12, titlePadding=8, gridColor="#e8e8e8")
        .configure_legend(labelFontSize=12, titleFontSize=12)
        .configure_header(labelFontSize=13, titleFontSize=13)
        .configure_view(stroke="#d0d0d0")
    )


def accuracy_against_width(
    means: pd.DataFrame,
    *,
    accuracy: str,
    colours: Mapping[str, str],
    widths: Sequence[int],
    x_title: str,
    y_title: str,
    marks: pd.DataFrame | None = None,
) -> alt.LayerChart | alt.FacetChart:
    """A line per kind of net, with the 95% interval over seeds at each point.

    Args:
        means: one row per point, as `over_seeds` returns them, with the kind of net in "net".
        accuracy: the column to show; "best_test_accuracy" or "final_test_accuracy".
        colours: {kind of net: its colour}, in the order of the legend.
        widths: labelled on the horizontal axis.
        x_title: of the horizontal axis.
        y_title: of the vertical axis.
        marks: further points to draw as diamonds, with the columns "net", "width" and `accuracy`.
    """
    shown = means.assign(
        low=means[accuracy] - means[f"{accuracy}_interval"],
        high=means[accuracy] + means[f"{accuracy}_interval"],
    )
    x = alt.X(
        "width:Q",
        scale=alt.Scale(
            type="log", base=2, domain=[0.8 * min(widths), 1.25 * max(widths)], nice=False
        ),
        axis=alt.Axis(values=list(widths), labelAngle=0),
        title=x_title,
    )
    colour = alt.Color(
        "net:N",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(
            title=None,
            orient="bottom",
            direction="vertical",
            labelLimit=400,
            symbolType="circle",
            symbolOpacity=1,
        ),
    )
    y_axis: dict[str, Any] = {"axis": alt.Axis(format=".0%"), "title": y_title}
    y = alt.Y(f"{accuracy}:Q", scale=alt.Scale(zero=False), **y_axis)
    base = alt.Chart(shown).encode(x=x, y=y, color=colour)
    layers = [
        base.mark_line(strokeWidth=2),
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", **y_axis), y2="high:Q"),
        base.mark_circle(size=50, opacity=1).encode(tooltip=_tooltip(shown)),
    ]
    if marks is not None:
        diamonds = alt.Chart(marks).encode(x=x, y=y, color=colour)
        layers.append(diamonds.mark_point(shape="diamond", size=90, strokeWidth=2, opacity=1))
    return alt.layer(*layers).properties(width=520, height=320)


def _tooltip(shown: pd.DataFrame) -> list[alt.Tooltip]:
    titles = {
        "best_test_accuracy": "best epoch",
        "final_test_accuracy": "last epoch",
        "best_test_accuracy_interval": "best, 95% interval ±",
        "final_test_accuracy_interval": "last, 95% interval ±",
    }
    plain = [name for name in ("net", "width", "output_connectivity", "seeds") if name in shown]
    return [alt.Tooltip(name, title=name.replace("_", " ")) for name in plain] + [
        alt.Tooltip(name, title=title, format=".2%") for name, title in titles.items()
    ]
