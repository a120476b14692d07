"""Learning rates for Figure 7: the best one on validation images, width by width."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from wider.charts import (
    BLUE,
    DASHES,
    ORANGE,
    diamond_key,
    finish,
    log_ticks,
    of_seeds,
)
from wider.drawing import Drawing, faceted, layered
from wider.runs import RunSpec
from wider.study._experiment import Experiment, Picture, Scale
from wider.study.kernel.runs import (
    NUM_VALIDATION,
    WIDTHS,
    nets,
    run_of,
)
from wider.study.paper import FIGURE_7_RATES

FACTORS = (0.25, 0.5, 1, 2, 4)
LEGEND = alt.Legend(
    title=None, orient="bottom", symbolType="stroke", symbolStrokeWidth=3, symbolSize=300
)
TOOLTIP = [
    alt.Tooltip(name)
    for name in ("method:N", "width:Q", "learning_rate:Q", "validation_accuracy:Q", "seeds:Q")
]
BEST_RATE = "the best rate"
POINT = ["method", "width", "learning_rate"]


def rates(
    *,
    widths: Sequence[int],
    factors: Sequence[float],
    epochs: int,
    num_seeds: int,
    num_train: int,
    num_validation: int,
) -> list[RunSpec]:
    """Every net with every learning rate, all of one seed first.

    Args:
        widths: of the nets.
        factors: by which the published rates are multiplied.
        epochs: of each run.
        num_seeds: from 100 upwards, so that other seeds choose the rates than the figure shows.
        num_train: training images.
        num_validation: images by whose accuracy rates are chosen.
    """
    return [
        run_of(
            method,
            width,
            learning_rate=factor * FIGURE_7_RATES[method][width],
            seed=100 + seed,
            epochs=epochs,
            num_train=num_train,
            num_validation=num_validation,
        )
        for seed in range(num_seeds)
        for method, width in nets(widths)
        for factor in factors
    ]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per net and rate: validation accuracy of the last epoch; a diverged run counts 0."""
    validated = table.assign(
        accuracy=table["final_validation_accuracy"].where(table["status"] == "finished", 0.0)
    )
    means = validated.groupby(POINT)["accuracy"].agg(["mean", "count"]).reset_index()
    means = means.rename(columns={"mean": "validation_accuracy", "count": "seeds"})
    highest = means.groupby(["method", "width"])["validation_accuracy"].transform("max")
    return means.assign(best=means["validation_accuracy"] == highest)


def best_rates(means: pd.DataFrame) -> dict[str, dict[int, float]]:
    """{method: {width: rate}} with the highest validation accuracy, the lowest of equals."""
    chosen = means[means["best"]].sort_values(POINT).drop_duplicates(["method", "width"])
    return {
        str(method): dict(zip(rows["width"], rows["learning_rate"], strict=True))
        for method, rows in chosen.groupby("method")
    }


def draw(table: pd.DataFrame, scale: Scale) -> list[Picture]:
    """Validation accuracy against the learning rate, a panel per width."""
    means = summarise(table)
    chart = _panels(means)
    subtitle = [
        f"MNIST, MLP in NTK parametrisation; {scale.label}",
        f"Last epoch, {of_seeds(means, with_interval=False)}, on {NUM_VALIDATION:,} images set "
        "aside from the training ones; rates that diverged are not drawn",
    ]
    title = "Learning rates for Figure 7"
    return [Picture("figure-7-rates", finish(chart, title, subtitle), _finding(means))]


def _panels(means: pd.DataFrame) -> Drawing:
    # A point at 0 for each rate that diverged would flatten all others.
    shown = means[means["validation_accuracy"] > 0]
    shown = shown.assign(panel="width " + shown["width"].astype(str), key=BEST_RATE)
    ticks = log_ticks(shown["learning_rate"].min(), shown["learning_rate"].max())
    base = alt.Chart(shown).encode(
        x=alt.X(
            "learning_rate:Q",
            scale=alt.Scale(type="log", nice=False, padding=12),
            axis=alt.Axis(values=ticks, format=",~r"),
            title="learning rate",
        ),
        y=alt.Y(
            "validation_accuracy:Q",
            axis=alt.Axis(format="~%"),
            scale=alt.Scale(zero=False, nice=False, padding=12),
            title="validation accuracy",
        ),
        color=alt.Color(
            "method:N",
            scale=alt.Scale(domain=["sparse", "dense"], range=[BLUE, ORANGE]),
            legend=LEGEND,
        ),
        tooltip=TOOLTIP,
    )
    best = base.transform_filter("datum.best")
    panel = layered(
        base.mark_line().encode(
            strokeDash=alt.StrokeDash(
                "method:N",
                scale=alt.Scale(domain=["sparse", "dense"], range=DASHES[:2]),
                legend=LEGEND,
            )
        ),
        base.mark_point(filled=True, size=35),
        best.mark_point(shape="diamond", size=140, opacity=1).encode(
            strokeWidth=diamond_key(BEST_RATE)
        ),
    ).properties(width=200, height=160)
    return faceted(
        panel,
        facet=alt.Facet(
            "panel:N",
            sort=shown.sort_values("width")["panel"].unique().tolist(),
            title=None,
            header=alt.Header(labelFontWeight="bold"),
        ),
        columns=4,
        independent=["x", "y"],
    )


def _finding(means: pd.DataFrame) -> str:
    chosen = best_rates(means)
    return "Best rates: " + "; ".join(
        f"{method}: " + ", ".join(f"{rate:g} at width {width}" for width, rate in found.items())
        for method, found in chosen.items()
    )


SCALES = [
    Scale(
        "smoke",
        "200 images, 2 epochs, widths 8 and 32, two rates, 1 seed",
        lambda: rates(
            widths=(8, 32), factors=(1, 2), epochs=2, num_seeds=1, num_train=200, num_validation=200
        ),
    ),
    Scale(
        "paper",
        "2,048 images, 300 epochs, 2 seeds",
        lambda: rates(
            widths=WIDTHS,
            factors=FACTORS,
            epochs=300,
            num_seeds=2,
            num_train=2048,
            num_validation=NUM_VALIDATION,
        ),
    ),
]

EXPERIMENT = Experiment(
    name="figure-7-rates",
    title="Learning rates for Figure 7",
    question="Which learning rate suits each net of Figure 7, by its accuracy on images that "
    "are neither trained nor tested on?",
    source="Golubeva et al. 2021, Appendix A: tuned for each width, not how",
    scales={scale.name: scale for scale in SCALES},
    summarise=summarise,
    draw=draw,
)
