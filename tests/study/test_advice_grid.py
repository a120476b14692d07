"""The grid of distances against the grid of errors, from tables whose truth is known."""

import math

import pandas as pd
import pytest

from wider.study.kernel import advice_grid
from wider.study.mlp import figure_4

from .tables import table_of

SCALE = advice_grid.EXPERIMENT.scale("laptop")


def table(sign: int = 1) -> pd.DataFrame:
    """Accuracy falls away from width 80 and a dense last layer; so does nearness, times a sign."""
    specs = list(SCALE.specs())
    output: list[float] = [spec.widening.allocation["output"] for spec in specs]  # pyright: ignore
    away = [
        abs(math.log2(spec.widening.width / 80)) + 0.1 * (1 - last)
        for spec, last in zip(specs, output, strict=True)
    ]
    accuracies = iter(0.95 - 0.01 * each for each in away)
    rows = table_of(specs, lambda _: next(accuracies))
    return rows.assign(
        normalisation=[spec.data.normalisation for spec in specs],
        output_connectivity=output,
        expected_kernel_distance=[math.exp(sign * each) for each in away],
        theorem_1=[math.exp(-sign * each) for each in away],
    )


def test_the_runs_are_the_relu_nets_of_figure_4_with_their_distance():
    for name in ("laptop", "paper"):
        ours = {
            (spec.widening.width, str(spec.widening.allocation), spec.seed): spec
            for spec in advice_grid.EXPERIMENT.scale(name).specs()
            if spec.data.normalisation == "channel"
        }
        theirs = [
            spec
            for spec in figure_4.EXPERIMENT.scale(name).specs()
            if spec.model.table["activation"] == "relu"
            and spec.seed < (5 if name == "laptop" else 3)
        ]
        for spec in theirs:
            same = ours[spec.widening.width, str(spec.widening.allocation), spec.seed]
            assert same == spec.model_copy(update={"kernel_pairs": advice_grid.PAIRS})


def test_correlation_is_over_all_cells():
    rows = table().query("normalisation == 'pixel'")
    found, other = (
        advice_grid.correlation(rows, name).evidence
        for name in ("expected_kernel_distance", "theorem_1")
    )
    assert found is not None
    assert other is not None
    assert found.effect.value == pytest.approx(1)
    assert other.effect.value == pytest.approx(-1)
    assert found.seeds == 5


def test_the_picture_frames_the_best_cell_of_each_grid():
    picture, _ = advice_grid.draw(table(), SCALE)
    assert picture.caption == (
        "Each pixel normalised by itself: the distance is smallest at width 80, last layer 1, "
        "where the test error is 6.0%; the smallest error is 6.0%, at width 80, last layer 1. Rank "
        "correlation of distance and test error over cells: 1.00, 95% interval 1.00 to 1.00. Rank "
        "correlation of Theorem 1 as printed and test error: -1.00, 95% interval -1.00 to -1.00."
    )
    other, second = advice_grid.draw(table(sign=-1), SCALE)
    assert "smallest error is 6.0%, at width 80, last layer 1." in other.caption
    assert second.caption.startswith("One mean and deviation for all pixels, as in Figure 4: ")
    assert "distance is smallest at width 80" not in other.caption
    assert len(picture.chart.to_dict()["hconcat"]) == 2


def test_both_grids_run_like_figure_4_and_have_their_colours_explained():
    picture, _ = advice_grid.draw(table(), SCALE)
    distances, errors = picture.chart.to_dict()["hconcat"]
    for panel, darkest in ((distances, "8"), (errors, "14%")):
        encoding = panel["layer"][0]["encoding"]
        assert encoding["x"].get("sort", "ascending") == "ascending"
        assert encoding["color"]["legend"]["title"] == f"darkest: {darkest} or more"


def test_nothing_is_drawn_where_all_runs_diverged():
    assert advice_grid.draw(table().assign(status="diverged"), SCALE) == []
