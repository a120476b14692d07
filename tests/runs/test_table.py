import csv
import hashlib
import math
from pathlib import Path

import pandas as pd
import pytest

from wider.data import Preprocessing
from wider.errors import InputError
from wider.evidence import over_seeds
from wider.runs import (
    ROW_VERSION,
    RunSpec,
    Store,
    Widening,
    asked,
    execute,
    of_the_same_images,
    read_table,
    runs_table,
    table_of_store,
)
from wider.study import EXPERIMENTS
from wider.study.kernel.runs import with_equation_6
from wider.training import Recipe

RESULTS = Path(__file__).parents[2] / "results"


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
        f"key,status,seed,final_test_accuracy,width,closed_form\n{'a' * 64},finished,0,0.9,8,7.0\n"
    )
    table = read_table(path)
    assert "closed_form" not in table
    assert with_equation_6(table)["equation_6"].isna().all()


def rows(*digests: str, dataset: str = "pets") -> pd.DataFrame:
    """Runs of a dataset, each begun a day after the one before, with these digests."""
    return pd.DataFrame(
        {
            "dataset": dataset,
            "image_size": None,
            "classes": "",
            "grey": False,
            "shrunk_to": None,
            "data_digest": digests,
            "started": [f"2026-11-{day:02}T12:00:00+01:00" for day in range(1, len(digests) + 1)],
            "seed": range(len(digests)),
        }
    )


def test_runs_of_other_images_than_the_latest_are_left_out_and_counted():
    said: list[str] = []
    table = pd.concat([rows("a", "b", "a", "c", "c"), rows("b", "b", dataset="cars")])
    kept = of_the_same_images(table.reset_index(drop=True), said.append)
    assert kept[["dataset", "data_digest", "seed"]].to_numpy().tolist() == [
        ["pets", "c", 3],
        ["pets", "c", 4],
        ["cars", "b", 0],
        ["cars", "b", 1],
    ]
    (sentence,) = said
    assert sentence.startswith("3 runs of pets are left out: their data (digest a, b)")
    assert "the latest run (c)" in sentence


def test_the_latest_run_is_so_in_every_time_zone():
    table = rows("early", "late")
    table["started"] = ["2026-11-01T12:00:00+02:00", "2026-11-01T11:00:00+00:00"]
    assert of_the_same_images(table, lambda _: None)["data_digest"].tolist() == ["late"]


def test_runs_of_the_same_images_all_stay():
    table = rows("a", "a")
    pd.testing.assert_frame_equal(of_the_same_images(table, pytest.fail), table)
    empty = table.iloc[:0]
    assert of_the_same_images(empty, pytest.fail).empty


def test_what_is_not_known_of_images_leaves_nothing_out():
    table = rows("a", "a", "a")
    table.loc[0, "data_digest"] = None
    table.loc[1, "started"] = "yesterday"
    pd.testing.assert_frame_equal(of_the_same_images(table, pytest.fail), table)
    bare = table[["dataset", "seed"]]
    pd.testing.assert_frame_equal(of_the_same_images(bare, pytest.fail), bare)


@pytest.fixture
def kept() -> str:
    """A table that is in the repository, as text."""
    return (RESULTS / "demo-laptop.csv").read_text()


@pytest.mark.parametrize("cut", [1, 30, 64, 65, 100, 300])
def test_a_table_whose_last_row_is_torn_is_refused_by_its_line(kept, tmp_path, cut):
    path = tmp_path / "demo-laptop.csv"
    path.write_text(kept.rstrip("\n")[:-cut])
    line = len(kept.splitlines())
    with pytest.raises(InputError, match=rf"demo-laptop.csv, line {line} has .*write the table"):
        read_table(path)


@pytest.mark.parametrize("key", ["", "0", "g" * 64, "A" * 64, "0" * 65])
def test_a_row_without_a_key_is_refused_by_its_line(kept, tmp_path, key):
    header, first, second, *_ = kept.splitlines()
    edited = ",".join([*second.split(",")[:-1], key])
    path = tmp_path / "demo-laptop.csv"
    path.write_text("\n".join([header, first, edited]))
    assert header.endswith(",key")
    with pytest.raises(InputError, match=r"line 3 has the key"):
        read_table(path)


def test_a_table_that_ends_without_a_line_end_is_whole(kept, tmp_path):
    path = tmp_path / "demo-laptop.csv"
    path.write_text(kept.rstrip("\n"))
    assert len(read_table(path)) == len(kept.splitlines()) - 1


def test_the_row_of_a_run_changes_with_its_version_alone(tmp_path: Path):
    """Stores keep rows. If this fails, raise `ROW_VERSION`, and write the new names down here."""
    spec = RunSpec(
        data=Preprocessing(dataset="digits", num_train=100),
        widening=Widening(base_width=2, width=6),
        recipe=Recipe(epochs=1, batch_size=50),
    )
    store = Store(tmp_path / "store")
    run = execute(spec, store)
    (row,) = runs_table([run]).to_dict("records")
    left = {
        "best_test_epoch",
        "seconds",
        "peak_memory_mb",
        "engine",
        "executor",
        "threads",
        "machine",
    }
    left |= {"commit", "started", "python", "wider", "torch", "numpy"}
    kept = {
        str(name): value
        for name, value in row.items()
        if name not in left and "accuracy" not in str(name)
    }
    digest = hashlib.sha256(repr(kept).encode()).hexdigest()
    assert (ROW_VERSION, digest[:16]) == (3, "a7527c796857af90")
    for _ in range(2):
        found = table_of_store(store, pytest.fail)
        pd.testing.assert_frame_equal(found, runs_table([run]))


@pytest.mark.parametrize("cell", ["1.7", "-0.2", "abc", "inf"])
@pytest.mark.parametrize("column", ["final_test_accuracy", "best_test_accuracy"])
def test_an_accuracy_that_is_none_is_refused_by_its_line(kept, tmp_path, column, cell):
    header, *lines = kept.splitlines()
    cells = lines[2].split(",")
    cells[header.split(",").index(column)] = cell
    path = tmp_path / "demo-laptop.csv"
    path.write_text("\n".join([header, *lines[:2], ",".join(cells), *lines[3:]]))
    with pytest.raises(InputError, match=f"line 4 has the {column} '{cell}': write the table"):
        read_table(path)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("dataset", "mnist"),
        ("method", "nonlinear_bottleneck"),
        ("base_width", "7"),
        ("width", "1000"),
        ("seed", "3"),
        ("num_train", "10"),
        ("learning_rate", ""),
        ("stem", "imagenet"),
        ("kernel_pairs", "5"),
    ],
)
def test_a_row_that_is_not_that_of_its_key_is_refused_by_its_line(kept, tmp_path, column, cell):
    header, *lines = kept.splitlines()
    cells = next(csv.reader([lines[2]]))
    cells[header.split(",").index(column)] = cell
    path = tmp_path / "demo-laptop.csv"
    with path.open("w") as file:
        csv.writer(file).writerows([*csv.reader([header, *lines[:2]]), cells])
    scale = EXPERIMENTS["demo"].scale("laptop")
    with pytest.raises(InputError, match=rf"line 4 has the {column} .* by its key .*write the"):
        read_table(path, scale.by_key)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_rows_of_every_kind_of_run_are_those_of_their_keys(name, tmp_path):
    known = {
        key: spec
        for scale in EXPERIMENTS[name].scales.values()
        for key, spec in scale.by_key.items()
    }
    if not known:
        pytest.skip("nothing is trained for it")
    came_out = {"status": "finished", "final_test_accuracy": 0.5}
    rows = [asked(spec) | came_out | {"key": key} for key, spec in known.items()]
    path = tmp_path / "table.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    assert len(read_table(path, known)) == len(rows)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*-laptop.csv")), ids=lambda path: path.stem)
def test_tables_that_are_kept_are_read(path):
    assert len(read_table(path)) == len(path.read_text().splitlines()) - 1
