"""What is drawn of the runs of ResNet-18, from tables whose truth is known."""

import json
import math

import pandas as pd
import pytest

from wider.runs import RunSpec
from wider.study import EXPERIMENTS
from wider.study.paper import TABLE_1
from wider.study.resnet import (
    figure_1,
    figure_3,
    figure_6,
    figure_9,
    figure_11,
    figure_12,
    figure_13,
    table_1,
)
from wider.study.resnet.charts import approximate

from .tables import table_of

LOSS = {"sparse": 0.01, "dense": 0.0, "linear_bottleneck": 0.05, "nonlinear_bottleneck": 0.02}


def accuracy(spec: RunSpec) -> float:
    """Half, plus .1 for each doubling, less what the method costs, less 1% where kernels stay."""
    widening = spec.widening
    doublings = math.log2(widening.width / widening.base_width)
    if widening.method != "linear_bottleneck" and not doublings:
        return 0.5
    return 0.5 + 0.1 * doublings - LOSS[widening.method] - 0.01 * (widening.pattern == "io")


def table(name: str, scale: str = "paper") -> pd.DataFrame:
    return table_of(list(EXPERIMENTS[name].scale(scale).specs()), accuracy)


def drawn(name: str, scale: str = "paper") -> tuple[dict, str]:
    experiment = EXPERIMENTS[name]
    (picture,) = experiment.draw(table(name, scale), experiment.scale(scale))
    return json.loads(picture.chart.to_json()), picture.caption


def values(rows: pd.DataFrame, by: list[str], column: str = "best_test_accuracy") -> dict:
    return rows.set_index(by)[column].to_dict()


def panel_titles(chart: dict) -> list[str]:
    return [
        panel["title"]
        for key in ("concat", "hconcat", "vconcat")
        for column in chart.get(key, [])
        for panel in column.get("vconcat", [column])
    ]


def test_figure_1_has_a_panel_per_dataset_and_the_baseline_in_both_lines():
    chart, caption = drawn("figure-1")
    assert panel_titles(chart) == [
        "re-encoded CIFAR-10", "CIFAR-100", "SVHN", "ImageNet, resized to 256 pixels and stored as "
        "JPEG",
    ]  # fmt: skip
    assert "CIFAR-100, sparse: 50.0% at width 18" in caption
    means = values(figure_1.summarise(table("figure-1")), ["dataset", "method", "width"])
    assert means["svhn", "sparse", 18] == means["svhn", "dense", 18] == 0.5
    assert means["svhn", "sparse", 36] == pytest.approx(0.59)
    assert means["svhn", "dense", 36] == pytest.approx(0.60)


def test_figure_3_has_both_bottlenecks_and_its_baselines_dashed():
    chart, caption = drawn("figure-3")
    assert panel_titles(chart) == [
        "(a) linear bottleneck, re-encoded CIFAR-10",
        "(a) linear bottleneck, CIFAR-100",
        "(b) non-linear bottleneck, re-encoded CIFAR-10",
        "(b) non-linear bottleneck, CIFAR-100",
    ]
    assert "CIFAR-10, base width 8: baseline 50.0% at width 8; linear 45.0% at width 8" in caption
    assert caption.startswith("re-encoded CIFAR-10")
    assert "base width 8: 9.0e2 effective weights (1.0e3 explicit)" in json.dumps(chart)
    net = ["dataset", "method", "base_width", "width"]
    means = values(figure_3.summarise(table("figure-3")), net)
    assert means["cifar10", "nonlinear_bottleneck", 8, 8] == 0.5
    assert means["cifar10", "linear_bottleneck", 8, 16] == pytest.approx(0.55)


def test_figure_5_has_a_line_per_family():
    chart, caption = drawn("figure-5")
    labels = chart["concat"][0]["layer"][0]["encoding"]["color"]["scale"]["domain"]
    assert labels == [f"base width {width}: 1.0e3 weights" for width in (8, 12, 18, 40, 64)]
    assert "SVHN, base width 40: 50.0% at width 40, 54.1% at width 57" in caption


def test_figure_6_is_the_ratio_of_the_gains():
    gains = figure_6.summarise(table("figure-6"))
    fractions = values(gains, ["dataset", "width"], "fraction")
    # One doubling: .09 of .10; three: .29 of .30.
    assert fractions["svhn", 36] == pytest.approx(0.9)
    assert fractions["cifar100", 144] == pytest.approx(29 / 30)
    assert fractions["imagenet", 128] == pytest.approx(0.9)
    assert values(gains, ["dataset", "width"], "seeds")["imagenet", 128] == 3
    assert list(values(gains[gains["fits_best"]], ["dataset", "width"], "factor")) == [
        ("cifar10", 144), ("cifar100", 144), ("imagenet", 256), ("svhn", 144),
    ]  # fmt: skip
    chart, caption = drawn("figure-6")
    fractions, training = (part["concat"] for part in chart["vconcat"])
    assert [panel["title"] for panel in fractions] == [panel["title"] for panel in training]
    assert "SVHN, base width 18: 79% at 1.4 times the base width, 90% at 2 times" in caption


def test_figure_6_leaves_out_what_has_no_control_or_no_gain():
    whole = table("figure-6", "smoke")
    assert figure_6.draw(whole[whole["method"] == "sparse"], SMOKE) == []
    flat = whole.assign(best_test_accuracy=0.5)
    assert figure_6.summarise(flat)["fraction"].isna().all()
    (picture,) = figure_6.draw(flat, SMOKE)
    assert picture.caption == "No width at which the dense net gained has been trained yet."


SMOKE = figure_6.EXPERIMENT.scale("smoke")


def test_figure_9_shares_its_baseline_between_the_patterns():
    means = values(
        figure_9.summarise(table("figure-9")), ["dataset", "base_width", "pattern", "width"]
    )
    assert means["cifar100", 8, "io", 8] == 0.5
    assert means["cifar100", 8, "io", 16] == pytest.approx(0.58)
    _, caption = drawn("figure-9")
    assert "CIFAR-100: the largest difference is +1.0 points, uniform against io" in caption


def test_figures_11_and_13_are_against_connectivity():
    chart, caption = drawn("figure-11")
    x = chart["concat"][0]["layer"][0]["encoding"]["x"]
    assert (x["field"], x["scale"]["type"]) == ("connectivity", "log")
    assert "SVHN, base width 64: best 69.0% at connectivity 0.062 (width 256)." in caption
    chart, caption = drawn("figure-13")
    assert chart["concat"][0]["layer"][0]["encoding"]["y"]["field"] == "final_train_accuracy"
    assert (
        "training accuracy is highest (74.0%) at width 256, test accuracy at width 256" in caption
    )


def test_table_1_has_ours_above_the_papers():
    chart, caption = drawn("table-1")
    (rows,) = chart["datasets"].values()
    cells = {(row["line"], row["width"]): row["text"] for row in rows}
    assert cells[("dense, paper", 256)] == "71.89 (180.6 M)"
    assert cells[("sparse, paper", 181)] == "70.66 (11.7 M)"
    assert cells[("dense", 64)] == "50.00 (1,000)"
    assert cells[("sparse", 128)] == "59.00 (1,000)"
    assert ("sparse", 64) not in cells
    assert len(cells) == 9 + 9
    assert caption.startswith("dense: 50.0% at width 64")


def test_figure_12_has_gains_on_the_baseline():
    gains = figure_12._gains(figure_12.summarise(table("figure-12")), 64)
    by_net = values(gains, ["method", "width"], "gain")
    assert by_net["dense", 128] == pytest.approx(0.1)
    assert by_net["sparse", 256] == pytest.approx(0.19)
    paper = values(figure_12._gains(figure_12.paper_rows(), 64), ["method", "width"], "gain")
    assert paper["sparse", 90] == pytest.approx(0.0153)
    assert len(paper) == sum(len(nets) for nets in TABLE_1.values()) - 1


@pytest.mark.parametrize("module", [figure_12, figure_13, figure_11, table_1, figure_1])
def test_diverged_runs_leave_gaps_not_errors(module):
    experiment = module.EXPERIMENT
    scale = experiment.scale("smoke")
    diverged = table(experiment.name, "smoke").assign(status="diverged")
    for picture in experiment.draw(diverged, scale):
        picture.chart.to_json()


@pytest.mark.parametrize(
    ("count", "text"), [(175_192, "1.8e5"), (1000, "1.0e3"), (11_173_962, "1.1e7"), (7, "7.0e0")]
)
def test_approximate_numbers(count: int, text: str):
    assert approximate(count) == text
