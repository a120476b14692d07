"""The hit table, from tables whose truth is known."""

import math

import pandas as pd
import pytest

from wider.data import Preprocessing
from wider.runs import RunSpec
from wider.study.kernel import advice

from .tables import table_of

SCALE = advice.EXPERIMENT.scale("laptop")


def features(spec: RunSpec) -> int:
    sides = {"digits": 8, "mnist": 28}
    return (spec.data.shrunk_to or sides[spec.data.dataset]) ** 2


def table(best: int = 32, advised: int = 64, theorem_1: int = 256) -> pd.DataFrame:
    """Accuracy falls by a point for each doubling away from the best width."""

    def accuracy(spec: RunSpec) -> float:
        return 0.9 - 0.01 * abs(math.log2(spec.widening.width / best))

    specs = list(SCALE.specs())
    rows = table_of(specs, accuracy)
    widths = rows["width"]
    return rows.assign(
        classes=[" ".join(map(str, spec.data.classes)) for spec in specs],
        shrunk_to=pd.Series([spec.data.shrunk_to for spec in specs]),
        num_features=[features(spec) for spec in specs],
        connectivity=rows["base_width"] / widths,
        expected_kernel_distance=[abs(math.log2(width / advised)) for width in widths],
        theorem_1=[abs(math.log2(width / theorem_1)) for width in widths],
    )


def test_every_family_is_there_with_five_seeds():
    hits = advice.summarise(table())
    assert set(hits["set"]) == set(advice.SETS)
    assert len(hits) == 2 * len(advice.SETS)
    assert (hits["seeds"] == 5).all()


def test_misses_are_counted_in_doublings_and_in_accuracy():
    hit = advice.summarise(table()).iloc[0]
    assert (hit.base_width, hit.best_width) == (4, 32)
    assert hit.best_accuracy == pytest.approx(0.89)  # the last epoch is a point below the best
    assert hit.baseline_accuracy == pytest.approx(0.86)
    assert (hit.expected_kernel_distance_width, hit.expected_kernel_distance_doublings) == (64, 1)
    assert hit.expected_kernel_distance_cost == pytest.approx(0.01)
    assert (hit.theorem_1_width, hit.theorem_1_doublings) == (256, 3)
    assert hit.theorem_1_cost == pytest.approx(0.03)
    assert (hit.eightfold_width, hit.eightfold_doublings, hit.eightfold_cost) == (32, 0, 0)
    # CIFAR-10 grey 16x16: sqrt(4 * 256) = 32.
    assert (hit.set, hit.root_width, hit.root_doublings) == ("CIFAR-10 grey 16x16", 32, 0)
    assert (hit.equation_6_width, hit.equation_6_doublings) == (64, 1)
    assert hit.equation_6_cost == pytest.approx(0.01)
    # Connectivities of base width 4: 1, .5, .25, .125, .0625, .03125, ...
    assert hit.connectivity_05_width == 64


def test_too_narrow_advice_counts_as_a_miss_too():
    hit = advice.summarise(table(best=256, advised=32)).iloc[0]
    assert hit.expected_kernel_distance_doublings == -3


def test_the_picture_has_a_panel_per_family_and_says_what_each_rule_costs():
    (picture,) = advice.draw(table(), SCALE)
    chart = picture.chart.to_dict()
    assert (len(chart["concat"]), chart["columns"]) == (2 * len(advice.SETS), 2)
    for layer in chart["concat"][0]["layer"]:
        colour = layer["encoding"]["color"]
        assert colour["scale"]["domain"] == [
            "test accuracy of the last epoch",
            "Theorem 1 as printed",
            "the advised width",
            "8 times the base width",
        ]
        assert colour["legend"]["orient"] == "bottom"
    assert picture.caption.startswith(
        "advice: kernel distance with the last layer's mask: within one doubling of the best width "
        "in 12 of 12 families, 1.0 points lost on average; Theorem 1 as printed: within one "
        "doubling of the best width in 0 of 12"
    )


def test_runs_of_no_set_are_not_passed_over():
    assert Preprocessing(dataset="mnist", normalisation="pixel") == advice.SETS["MNIST"]
    with pytest.raises(AssertionError, match="a run of no known set"):
        advice.summarise(table().assign(shrunk_to=3))


def test_nothing_is_drawn_where_all_runs_diverged():
    assert advice.draw(table().assign(status="diverged"), SCALE) == []


def test_the_law_of_equation_6_is_held_against_the_best_width_of_every_family():
    runs = table(best=32)
    found = advice.doublings_from_law(runs)
    assert found is not None
    families = runs.drop_duplicates(["num_features", "classes", "dataset", "base_width"])
    assert len(families) == 12
    misses = [
        math.log2(32 / (2 * math.sqrt(row["base_width"] * row["num_features"])))
        for row in families.to_dict("records")
    ]
    # Width 32 stands for half a doubling either way.
    least = sum(max(0, abs(miss) - 0.5) for miss in misses) / 12
    most = sum(abs(miss) + 0.5 for miss in misses) / 12
    value = sum(map(abs, misses)) / 12
    assert found.effect == pytest.approx((value, least, most))
    assert found.seeds == 5
    # Of some families only, the claim says nothing.
    assert advice.doublings_from_law(runs[runs["base_width"] == 4]) is None
