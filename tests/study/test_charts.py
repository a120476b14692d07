"""What all pictures of the committed runs have in common."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from wider import charts
from wider.drawing import Drawing
from wider.report import runs_in_results, section_of
from wider.study import EXPERIMENTS

RESULTS = Path(__file__).parents[2] / "results"
COMMITTED = [
    ("demo", "laptop"),
    ("figure-1", "laptop"),
    ("figure-3", "laptop"),
    ("figure-4", "laptop"),
    ("figure-4-checks", "paper"),
    ("figure-5", "gpu"),
    ("figure-6", "gpu"),
    ("figure-7", "paper"),
    ("figure-7-rates", "paper"),
    ("figure-9", "laptop"),
    ("figure-11", "gpu"),
    ("figure-13", "gpu"),
    ("advice", "laptop"),
    ("advice-grid", "laptop"),
    ("three-ways", "laptop"),
    ("allocations", "laptop"),
]


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return runs_in_results(RESULTS)


def charts_of(name: str, scale: str, runs: pd.DataFrame) -> list[Drawing]:
    experiment = EXPERIMENTS[name]
    section = section_of(experiment, experiment.scale(scale), runs)
    return [picture.chart for picture in section.pictures]


def drawn(name: str, scale: str, runs: pd.DataFrame) -> list[dict[str, Any]]:
    return [chart.to_dict() for chart in charts_of(name, scale, runs)]


def parts_of(chart: Any) -> Iterator[dict[str, Any]]:
    """Every object in a chart apart from its data."""
    if isinstance(chart, dict):
        yield chart
        for name, part in chart.items():
            if name != "datasets":
                yield from parts_of(part)
    elif isinstance(chart, list):
        for part in chart:
            yield from parts_of(part)


@pytest.mark.parametrize(
    ("name", "scale"),
    [*COMMITTED, ("figure-2", "paper"), ("figure-8", "paper"), ("figure-10", "paper")],
)
def test_charts_are_valid_in_vega_lite(name: str, scale: str, runs: pd.DataFrame):
    for chart in charts_of(name, scale, runs):
        chart.to_altair()  # Altair knows the schema


@pytest.mark.parametrize(("name", "scale"), COMMITTED)
def test_no_view_has_two_vertical_axes(name: str, scale: str, runs: pd.DataFrame):
    for chart in drawn(name, scale, runs):
        for part in parts_of(chart):
            if "layer" in part:
                assert part.get("resolve", {}).get("scale", {}).get("y") != "independent"
            assert not isinstance(part.get("axis"), dict) or part["axis"].get("orient") != "right"


@pytest.mark.parametrize(("name", "scale"), COMMITTED)
def test_one_seed_is_not_called_a_mean(name: str, scale: str, runs: pd.DataFrame):
    first = [0, 100]  # the rates of Figure 7 are chosen by seeds from 100 up
    pictures = drawn(name, scale, runs[runs["seed"].isin(first)])
    assert pictures
    for chart in pictures:
        words = " ".join(chart["title"]["subtitle"]).lower()
        assert "one seed" in words
        assert "95% interval" not in words
        assert "mean over seeds" not in words


def test_several_seeds_are_a_mean_with_an_interval_where_it_is_drawn():
    means = pd.DataFrame({"seeds": [1, 3]})
    assert charts.of_seeds(means) == "mean over seeds with its 95% interval"
    assert charts.of_seeds(means, with_interval=False) == "mean over seeds"
    assert charts.of_seeds(means[means["seeds"] == 1]) == "one seed"


@pytest.mark.parametrize(
    ("lowest", "highest", "ticks"),
    [
        (0.0018, 0.042, [0.002, 0.005, 0.01, 0.02]),
        (0.6, 450, [1, 2, 5, 10, 20, 50, 100, 200]),
        (19, 61, [20, 30, 40, 50, 60]),
        (float("nan"), float("nan"), []),
        (0.01, 1000, [0.01, 0.1, 1, 10, 100, 1000]),
    ],
)
def test_logarithmic_axes_are_labelled_evenly(lowest: float, highest: float, ticks: list[float]):
    assert charts.log_ticks(lowest, highest) == ticks


@pytest.mark.parametrize(
    ("name", "scale", "channel", "words"),
    [
        ("figure-4", "laptop", "strokeWidth", "the paper"),
        ("figure-5", "gpu", "strokeWidth", "a public replication"),
        ("figure-7-rates", "paper", "strokeWidth", "the best rate"),
        ("figure-3", "laptop", "strokeDash", "the baseline, before any bottleneck"),
        ("three-ways", "laptop", "strokeDash", "the dense baseline"),
    ],
)
def test_points_and_levels_of_others_are_in_the_legend(
    name: str, scale: str, channel: str, words: str, runs: pd.DataFrame
):
    chart = drawn(name, scale, runs)[-1]
    keys = [
        part[channel]
        for part in parts_of(chart)
        if isinstance(part.get(channel), dict) and part[channel].get("field") == "key"
    ]
    assert keys
    for key in keys:
        assert key["scale"]["domain"] == [words]
        assert key["legend"]["orient"] == "bottom"
    assert {words} == {
        row["key"] for rows in chart["datasets"].values() for row in rows if "key" in row
    }
