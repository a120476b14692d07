import math
from pathlib import Path

import pandas as pd
import pytest

from wider.experiments import read_table
from wider.experiments._table import over_seeds, with_equation_6


def table(accuracies: list[float], statuses: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "width": 80,
            "status": statuses or ["finished"] * len(accuracies),
            "best_test_accuracy": accuracies,
            "final_test_accuracy": accuracies,
            "final_train_accuracy": accuracies,
            "num_weights": 3970,
            "num_effective_weights": 3970,
            "connectivity": 0.0625,
            "multiply_adds": 3970,
        }
    )


def test_mean_deviation_and_interval_of_three_seeds_by_hand():
    row = over_seeds(table([0.94, 0.95, 0.96]), ["width"]).iloc[0]
    assert row.seeds == 3
    assert row.best_test_accuracy == pytest.approx(0.95)
    assert row.best_test_accuracy_deviation == pytest.approx(0.01)
    # The 97.5% quantile of Student's t with two degrees of freedom is 4.302653.
    assert row.best_test_accuracy_interval == pytest.approx(4.302653 * 0.01 / math.sqrt(3))


def test_sizes_of_the_nets_are_shown_once():
    row = over_seeds(table([0.94, 0.95]), ["width"]).iloc[0]
    assert (row.num_weights, row.num_effective_weights, row.multiply_adds) == (3970, 3970, 3970)
    assert row.connectivity == 0.0625


def test_one_seed_has_no_interval():
    row = over_seeds(table([0.94]), ["width"]).iloc[0]
    assert row.best_test_accuracy == 0.94
    assert math.isnan(row.best_test_accuracy_interval)


def test_diverged_runs_are_counted_and_left_out_of_the_mean():
    statuses = ["finished", "diverged", "finished"]
    row = over_seeds(table([0.9, 0.1, 0.8], statuses), ["width"]).iloc[0]
    assert (row.seeds, row.diverged) == (2, 1)
    assert row.final_test_accuracy == pytest.approx(0.85)


def test_a_point_with_diverged_runs_only_has_no_mean():
    row = over_seeds(table([0.1], ["diverged"]), ["width"]).iloc[0]
    assert (row.seeds, row.diverged) == (0, 1)
    assert math.isnan(row.best_test_accuracy)


def test_equation_6_is_computed_where_its_sizes_are_known():
    sizes = pd.DataFrame(
        {
            "num_features": [784, 784, None],
            "width": [8, 128, 64],
            "hidden_connectivity": [1.0, 5072 / (128 * 784), None],
        }
    )
    found = with_equation_6(sizes)["equation_6"]
    for place, (width, connectivity) in enumerate([(8, 1.0), (128, 5072 / (128 * 784))]):
        bias = (1 / math.sqrt(connectivity) - 1) ** 2 / 4
        by_hand = (bias + 784 / width * (1 - 1 / math.pi**2)) / (4 * 784)
        assert found[place] == pytest.approx(by_hand)
    assert math.isnan(found[2])


def test_the_old_closed_form_of_a_table_is_not_believed(tmp_path: Path):
    path = tmp_path / "old.csv"
    path.write_text(
        "key,status,seed,final_test_accuracy,width,closed_form\na,finished,0,0.9,8,7.0\n"
    )
    table = read_table(path)
    assert "closed_form" not in table
    assert with_equation_6(table)["equation_6"].isna().all()
