"""What all charts have in common."""

from typing import Any

import altair as alt

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
