"""Figure 7: its runs against Appendix A, its numbers from tables whose truth is known."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from wider.sparsity import count_weights, weight_layers
from wider.study.kernel import figure_7, figure_7_rates
from wider.study.kernel.runs import RATES, WIDTHS
from wider.study.paper import FIGURE_7_RATES
from wider.tasks import Task

from .tables import table_of

RESULTS = Path(__file__).parents[2] / "results"
SHAPE: dict[str, Any] = {"image_shape": (1, 28, 28), "num_classes": 10}


def test_paper_scale_is_appendix_a():
    specs = figure_7.EXPERIMENT.scale("paper").specs()
    assert len(specs) == 10 * 13
    for spec in specs:
        assert (spec.data.dataset, spec.data.num_train) == ("mnist", 2048)
        assert (spec.data.normalisation, spec.data.scaled_by) == ("pixel", "all")
        assert (spec.recipe.epochs, spec.recipe.batch_size, spec.recipe.momentum) == (300, 256, 0)
        assert (spec.model.table["parametrization"], spec.model.table["bias"]) == ("ntk", False)


@pytest.mark.parametrize("width", WIDTHS)
def test_only_the_first_layer_is_sparse(width: int):
    (spec,) = [
        spec
        for spec in figure_7.EXPERIMENT.scale("paper").specs()
        if spec.seed == 0 and spec.widening.method == "sparse" and spec.widening.width == width
    ]
    net = spec.build(Task.of_images((1, 28, 28), 10))
    assert count_weights(net) == 6352
    assert count_weights(weight_layers(net)["output"]) == 10 * width


def test_rates_are_chosen_by_other_seeds_and_other_images_than_the_figure_shows():
    chosen = figure_7_rates.EXPERIMENT.scale("paper").specs()
    shown = figure_7.EXPERIMENT.scale("paper").specs()
    assert not {spec.seed for spec in chosen} & {spec.seed for spec in shown}
    assert all(spec.data.num_validation == 2048 for spec in chosen)
    assert {spec.data.num_validation for spec in shown} == {0}


def test_the_best_rate_is_the_one_with_the_highest_validation_accuracy():
    table = pd.DataFrame(
        {
            "method": "sparse",
            "width": [8, 8, 8, 8, 32, 32],
            "learning_rate": [1, 1, 2, 2, 5, 10],
            "status": ["finished"] * 5 + ["diverged"],
            "final_validation_accuracy": [0.5, 0.7, 0.9, 0.4, 0.3, math.nan],
        }
    )
    means = figure_7_rates.summarise(table)
    assert means["validation_accuracy"].tolist() == pytest.approx([0.6, 0.65, 0.3, 0.0])
    assert figure_7_rates.best_rates(means) == {"sparse": {8: 2, 32: 5}}


def table(num_seeds: int = 4) -> pd.DataFrame:
    """Errors rise with the distance, but for the last width."""
    specs = [spec for spec in figure_7.EXPERIMENT.scale("paper").specs() if spec.seed < num_seeds]
    order = {width: rank for rank, width in enumerate((128, 216, 32, 328, 512, 8, 635))}
    rows = table_of(specs, lambda spec: 0.9 - 0.01 * order[spec.widening.width])
    ranks = rows["width"].map(order)
    distance = 1e-3 * (1 + ranks)
    noise = np.random.default_rng(0).normal(0, 1e-6, len(rows))
    return rows.assign(
        kernel_distance=distance + noise,
        theorem_1=distance,
        num_features=784,
        hidden_connectivity=8 / rows["width"],
        kernel_pairs=1000,
    )


def test_correlation_of_distance_and_error():
    found = figure_7.correlation(table(num_seeds=5)).evidence
    assert found is not None
    assert found.effect == pytest.approx((1, 1, 1))
    reversed_ = table().assign(kernel_distance=lambda rows: -rows["kernel_distance"])
    other = figure_7.correlation(reversed_).evidence
    assert other is not None
    assert other.effect.value == pytest.approx(-1)
    assert figure_7.correlation(table(num_seeds=2)).note == "; rank correlation 1.00"


def test_both_pictures_say_what_is_seen():
    scale = figure_7.EXPERIMENT.scale("paper")
    first, second = figure_7.draw(table(num_seeds=5), scale)
    # The last epoch is a point below the best one in these tables.
    assert first.caption == "dense: best 89.0% at width 128; sparse: best 89.0% at width 128"
    assert "smallest at width 128 as measured, 128 by Theorem 1" in second.caption
    assert "over widths: 1.00, 95% interval 1.00 to 1.00." in second.caption
    assert "rank correlation 1.00" in json.dumps(json.loads(second.chart.to_json()))


def test_distance_and_error_have_a_panel_each_over_the_same_widths():
    _, second = figure_7.draw(table(), figure_7.EXPERIMENT.scale("paper"))
    distance, error = second.chart.to_dict()["vconcat"]
    (first_axis,) = {json.dumps(layer["encoding"]["x"]) for layer in distance["layer"]}
    (other_axis,) = {json.dumps(layer["encoding"]["x"]) for layer in error["layer"]}
    assert first_axis == other_axis
    titles = [panel["layer"][-1]["encoding"]["y"]["title"] for panel in (distance, error)]
    assert titles == ["mean squared distance", "test error, last epoch"]
    assert distance["layer"][0]["encoding"]["y"]["axis"]["values"]


def test_published_rates_cover_every_net():
    assert set(FIGURE_7_RATES["sparse"]) == set(WIDTHS)
    assert set(FIGURE_7_RATES["dense"]) == set(WIDTHS[1:])


def test_the_rates_in_use_are_the_best_ones_of_the_committed_table():
    table = pd.read_csv(RESULTS / "figure-7-rates-paper.csv")
    assert set(table["key"]) == {
        spec.key for spec in figure_7_rates.EXPERIMENT.scale("paper").specs()
    }
    assert figure_7_rates.best_rates(figure_7_rates.summarise(table)) == RATES
