"""What is committed in `results/` belongs to what the code runs today."""

from pathlib import Path

import pandas as pd
import pytest

from wider.runs import read_table
from wider.study import EXPERIMENTS

RESULTS = Path(__file__).parents[1] / "results"
TABLES = {
    f"{experiment.name}-{scale.name}": scale
    for experiment in EXPERIMENTS.values()
    for scale in experiment.scales.values()
}
COMMITTED = sorted(path.stem for path in RESULTS.glob("*.csv") if path.stem in TABLES)


def test_there_are_tables():
    assert {"figure-4-paper", "figure-7-paper", "figure-1-laptop"} <= set(COMMITTED)


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_runs_keep_their_keys(name: str):
    table = read_table(RESULTS / f"{name}.csv")
    specs = {spec.key: spec for spec in TABLES[name].specs()}
    assert table["key"].is_unique
    assert set(table["key"]) <= set(specs)
    for row in table.to_dict("records"):
        spec = specs[row["key"]]
        assert (row["dataset"], row["width"], row["seed"]) == (
            spec.data.dataset,
            spec.widening.width,
            spec.seed,
        )


@pytest.mark.parametrize("name", COMMITTED)
def test_a_table_that_holds_all_runs_of_its_scale_is_complete(name: str):
    # Parts are committed too, and `results/README.md` says which.
    part = {"advice-paper", "allocations-gpu"}
    part |= {f"figure-{number}-gpu" for number in (3, 5, 6)}
    table = read_table(RESULTS / f"{name}.csv")
    if name not in part:
        assert set(table["key"]) == {spec.key for spec in TABLES[name].specs()}


def test_the_means_that_the_readme_of_the_results_lists_are_those_of_the_tables():
    text = (RESULTS / "README.md").read_text()
    names = [f"figure-{number}-gpu.csv" for number in (1, 3, 9)]
    runs = pd.concat([read_table(RESULTS / name) for name in names]).drop_duplicates("key")
    nets = runs.groupby(["dataset", "method", "pattern", "base_width", "width"], as_index=False)
    accuracies = nets["best_test_accuracy"].agg(["count", "mean", "std"])
    listed = accuracies[
        (accuracies["base_width"] == 8) | accuracies["method"].isin(["sparse", "dense"])
    ]
    assert (listed["count"] == 3).all()
    for mean, deviation in zip(100 * listed["mean"], 100 * listed["std"], strict=True):
        assert f"{mean:.2f} ({deviation:.2f})".replace("(0.", "(.") in text
