"""The picture of an advised width."""

import altair as alt

from wider.charts import BLACK, BLUE, GREY, finish, log_ticks, width_axis
from wider.drawing import Drawing, layered
from wider.theory import Advice

LINES = {
    "distance": "with the last layer's mask",
    "theorem_1": "Theorem 1 as printed",
    "equation_6": "equation (6)",
}
LEGEND = alt.Legend(
    title=None, orient="bottom", labelLimit=300, symbolType="stroke", symbolStrokeWidth=3
)


def advice_chart(advice: Advice, subtitle: list[str]) -> Drawing:
    """Distance by width, what the paper's formulas say, and the widths that are as good.

    Args:
        advice: what is drawn.
        subtitle: data, normalisation and number of weights.
    """
    distances = advice.distances.to_frame()
    widths = distances["width"].tolist()
    long = distances.melt(
        id_vars=["width"], value_vars=list(LINES), var_name="kind", value_name="value"
    )
    long["line"] = long["kind"].map(LINES)
    lowest = 0.8 * distances[list(LINES)].min().min()
    highest = 1.6 * distances[list(LINES)].max().max()
    y_axis = {
        "scale": alt.Scale(type="log", domain=[lowest, highest], nice=False),
        "axis": alt.Axis(values=log_ticks(lowest, highest), format="~g"),
        "title": "mean squared distance from the infinitely wide kernel",
    }
    base = alt.Chart(long).encode(
        x=width_axis(widths, "width"),
        y=alt.Y("value:Q", **y_axis),
        color=alt.Color(
            "line:N",
            scale=alt.Scale(domain=list(LINES.values()), range=[BLUE, BLACK, GREY]),
            legend=LEGEND,
        ),
    )
    close = distances[distances["width"].isin(advice.within_5_percent)]
    best = distances[distances["width"] == advice.width]
    rings = alt.Chart(close).encode(x=alt.X("width:Q"), y=alt.Y("distance:Q", **y_axis))
    layers = layered(
        # The mask of the last layer changes nothing while that is dense: both lines are one then.
        base.mark_line(strokeWidth=2, clip=True).encode(
            strokeDash=alt.StrokeDash(
                "line:N",
                scale=alt.Scale(domain=list(LINES.values()), range=[[1, 0], [5, 5], [2, 3]]),
                legend=None,
            )
        ),
        base.mark_point(filled=True, size=45, opacity=1, clip=True),
        rings.mark_point(size=160, color=BLUE, strokeWidth=1.5),
        alt.Chart(best).mark_rule(strokeDash=[5, 4], color=BLUE).encode(x=alt.X("width:Q")),
    ).properties(width=560, height=340)
    notes = [*subtitle, "Dashed: the advised width; rings: at most 5% above its distance"]
    return finish(layers, "The best width before training", notes)
