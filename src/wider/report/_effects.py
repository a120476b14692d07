"""The sizes of the effects behind the verdicts, as a picture."""

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from wider.experiments import Picture
from wider.experiments.charts import BLUE, GREY, ORANGE, finish
from wider.report._verdicts import POINTS, Judged, evidence_of

COLOURS = {"supported": BLUE, "contradicted": ORANGE, "inconclusive": GREY}
SHAPES = {"supported": "circle", "contradicted": "cross", "inconclusive": "square"}
ROW_HEIGHT = 30


def effects_picture(rows: Sequence[Judged]) -> Picture | None:
    """The effects that are in points of accuracy, with their intervals; None without any."""
    table = pd.DataFrame(
        [
            _drawn(row)
            for row in rows
            if row.verdict.evidence is not None and row.verdict.claim.unit == POINTS
        ]
    )
    if table.empty:
        return None
    ends = table[["effect", "low", "high", "holds_above", "holds_below"]].to_numpy(dtype=float)
    finite = ends[~pd.isna(ends)]
    lowest, highest = finite.min(), finite.max()
    margin = 0.05 * max(highest - lowest, 1e-9)
    lowest, highest = lowest - margin, highest + margin
    table = table.fillna({"holds_above": lowest, "holds_below": highest})
    caption = (
        f"Effects of {len(table)} claims in points of test accuracy, with their 95% intervals. A "
        "claim is supported where the whole interval is inside its pale bar, contradicted where it "
        "is outside."
    )
    return Picture("effects", _effects_chart(table, (lowest, highest)), caption)


def _effects_chart(table: pd.DataFrame, domain: tuple[float, float]) -> alt.LayerChart:
    outcomes = [outcome for outcome in COLOURS if (table["verdict"] == outcome).any()]
    legend = alt.Legend(title=None, orient="top", symbolOpacity=1)
    colour = alt.Color(
        "verdict:N",
        legend=legend,
        scale=alt.Scale(domain=outcomes, range=[COLOURS[o] for o in outcomes]),
    )
    shape = alt.Shape(
        "verdict:N",
        legend=legend,
        scale=alt.Scale(domain=outcomes, range=[SHAPES[o] for o in outcomes]),
    )
    x_axis = {
        "title": "effect, points of test accuracy",
        "scale": alt.Scale(domain=domain, nice=False),
    }
    base = alt.Chart(table).encode(
        y=alt.Y(
            "claim:N",
            sort=table["claim"].tolist(),
            title=None,
            axis=alt.Axis(labelLimit=470, domain=False, ticks=False, labelPadding=8),
        ),
        tooltip=[
            alt.Tooltip("claim:N"),
            alt.Tooltip("verdict:N"),
            alt.Tooltip("effect:Q", format="+.2f"),
            alt.Tooltip("low:Q", title="95% interval from", format="+.2f"),
            alt.Tooltip("high:Q", title="to", format="+.2f"),
            alt.Tooltip("compared:N"),
        ],
    )
    layers = [
        base.mark_bar(color="#d9e6ef", height=ROW_HEIGHT - 8).encode(
            x=alt.X("holds_above:Q", **x_axis), x2="holds_below:Q"
        ),
        base.mark_rule(strokeWidth=2.5).encode(
            x=alt.X("low:Q", **x_axis), x2="high:Q", color=colour
        ),
        base.mark_point(size=80, filled=True, opacity=1).encode(
            x=alt.X("effect:Q", **x_axis), color=colour, shape=shape
        ),
    ]
    chart = alt.layer(*layers).properties(width=460, height=ROW_HEIGHT * len(table))
    subtitle = ["Dot: estimate. Line: 95% interval. Pale bar: where the claim holds."]
    return finish(chart, "How large the effects are, and how sure", subtitle)


def _drawn(row: Judged) -> dict[str, object]:
    claim, evidence = row.verdict.claim, evidence_of(row.verdict)
    value, low, high = evidence.effect
    return {
        "claim": f"{row.number}. {claim.says}",
        "verdict": row.verdict.outcome,
        "effect": value,
        "low": low if math.isfinite(low) else math.nan,
        "high": high if math.isfinite(high) else math.nan,
        "holds_above": claim.above if math.isfinite(claim.above) else math.nan,
        "holds_below": claim.below if math.isfinite(claim.below) else math.nan,
        "compared": evidence.compared,
    }
