"""Time along the width, a line per contestant."""

import altair as alt
import pandas as pd

from wider.bench._suite import CONTESTANTS, MASKED, Suite
from wider.experiments.charts import BLUE, GREY, ORANGE, finish

SHAPES = ("circle", "square", "triangle-up")  # so that colour is not all that tells lines apart


def draw(suite: Suite, table: pd.DataFrame) -> alt.LayerChart:
    """Median times with their quartiles, both axes logarithmic.

    Args:
        suite: what was measured.
        table: what `run_suite` returned for it.
    """
    shown = table.copy()
    for column in ("seconds", "seconds_lower", "seconds_upper"):
        shown[column] *= 1e6
    shown["text"] = shown["ratio"].map("{:.1f}x".format)
    contestants = [name for name in CONTESTANTS if (shown["contestant"] == name).any()]
    heading = suite.along.replace("_", " ")
    ticks = sorted(table[suite.along].unique().tolist())
    base = alt.Chart(shown).encode(
        x=alt.X(
            f"{suite.along}:Q",
            title=heading,
            scale=alt.Scale(type="log", nice=False, padding=44),
            axis=alt.Axis(values=ticks, grid=False, format="d"),
        ),
        y=alt.Y(
            "seconds:Q",
            title=f"microseconds a {suite.unit}",
            scale=alt.Scale(type="log", nice=False, padding=24),
            axis=alt.Axis(tickCount=8, format=",~r"),
        ),
        color=alt.Color(
            "contestant:N",
            scale=alt.Scale(domain=contestants, range=[BLUE, ORANGE, GREY]),
            legend=alt.Legend(title=None),
        ),
    )
    shape = alt.Shape("contestant:N", scale=alt.Scale(domain=contestants, range=list(SHAPES)))
    masked = base.transform_filter(alt.datum.contestant == MASKED)
    chart = alt.layer(
        base.mark_line(strokeWidth=2),
        base.mark_rule(strokeWidth=1.5).encode(y="seconds_lower:Q", y2="seconds_upper:Q"),
        base.mark_point(filled=True, size=60, opacity=1).encode(shape=shape.legend(title=None)),
        masked.mark_text(align="right", dx=6, dy=-14, fontSize=12).encode(text="text:N"),
    ).properties(width=520, height=320)
    return finish(chart, suite.title, _subtitle(suite, table))


def _subtitle(suite: Suite, table: pd.DataFrame) -> list[str]:
    first = table.iloc[0]
    threads = table["threads"].max()
    on = "1 thread" if threads == 1 else f"{threads} threads (native: {_native_threads(table)})"
    return [
        f"{suite.details}; dense PyTorch has no mask, so more weights",
        f"Median of {first.repetitions} with quartiles; numbers: masked against native",
        f"{first.machine}; {on}; torch {first.torch}, numba {first.numba}",
    ]


def _native_threads(table: pd.DataFrame) -> int:
    return table.loc[table["contestant"] == CONTESTANTS[0], "threads"].max()
