"""Runs of one's own as lines, means and pictures, from tables whose truth is known."""

import json
import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from wider.columns import Role
from wider.data import Preprocessing
from wider.models import MLPSpec, ResNet18Spec
from wider.runs import RunSpec, Widening, asked, names_of
from wider.study import Experiment, OwnStudy, Scale, means, own_studies
from wider.training import Recipe

MODEL = {*MLPSpec().table, *ResNet18Spec().table}
METHODS = ["sparse", "dense", "linear_bottleneck", "nonlinear_bottleneck"]


def spec(method: Any = "sparse", width: int = 8, seed: int = 0, **fields: Any) -> RunSpec:
    """Any field by its name."""
    parts = {
        "data": set(Preprocessing.model_fields),
        "model": MODEL,
        "widening": set(Widening.model_fields),
        "recipe": set(Recipe.model_fields),
    }
    document: dict[str, Any] = {"widening": {"method": method, "base_width": 4, "width": width}}
    document["data"] = {"dataset": "digits"}
    for name, value in fields.items():
        (part,) = [part for part, names in parts.items() if name in names]
        document.setdefault(part, {})[name] = value
    return RunSpec.model_validate({**document, "seed": seed})


def table(*specs: RunSpec, accuracy: Callable[[RunSpec], float] = lambda _: 0.5) -> pd.DataFrame:
    return pd.DataFrame([_row(each, accuracy(each)) for each in specs])


def _row(each: RunSpec, accuracy: float) -> dict[str, object]:
    dense = each.widening.method == "dense"
    return asked(each) | {
        "status": "finished" if accuracy >= 0 else "diverged",
        "num_weights": 74 * each.widening.width if dense else 296,
        "num_effective_weights": 74 * each.widening.width if dense else 296,
        "multiply_adds": 296,
        "connectivity": 1.0 if dense else 4 / each.widening.width,
        "final_test_accuracy": accuracy,
        "best_test_accuracy": accuracy + 0.01,
        "final_train_accuracy": accuracy + 0.02,
        "data_encoding": "png",
        "key": each.key,
    }


def nets(rows: pd.DataFrame, *columns: str) -> list[tuple]:
    return sorted(rows[list(columns)].itertuples(index=False, name=None))


def test_every_field_of_a_spec_tells_runs_apart():
    """Otherwise runs that differ would be averaged as if they were seeds."""
    assert sorted(asked(RunSpec())) == sorted(names_of(*Role))
    assert names_of(Role.SEED) == ["seed"]
    assert names_of(Role.WIDTH) == ["width"]
    assert names_of(Role.LINE) == ["method", "allocation", "pattern"]
    names = {"hidden_layers": "num_hidden_layers", "model": "name"}
    known = {names.get(column, column) for column in asked(RunSpec())}
    parts = (Preprocessing, Widening, Recipe)
    assert known == {
        *(name for part in parts for name in part.model_fields),
        *MODEL,
        "options",
        *(set(RunSpec.model_fields) - {"data", "model", "widening", "recipe"}),
    }


def test_means_and_intervals_of_each_line_by_hand():
    truth = {("sparse", 8): 0.8, ("sparse", 16): 0.9, ("dense", 8): 0.95, ("sparse", 4): 0.7}
    runs = table(
        *(spec(*net, seed) for net in truth for seed in range(3)),
        accuracy=lambda run: truth[run.widening.method, run.widening.width] + 0.01 * run.seed,
    )
    found = means(runs)
    assert list(found.columns[:3]) == ["dataset", "method", "width"]
    by_net = found.set_index(["method", "width"])
    # The baseline starts both lines, whatever it is called.
    assert sorted(by_net.index) == [
        ("dense", 4),
        ("dense", 8),
        ("sparse", 4),
        ("sparse", 8),
        ("sparse", 16),
    ]
    expected = {**truth, ("dense", 4): 0.7}
    half = stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(3)
    for net, accuracy in expected.items():
        row: Any = by_net.loc[net]
        assert row.seeds == 3
        assert row.final_test_accuracy == pytest.approx(accuracy + 0.01)
        assert row.final_test_accuracy_interval == pytest.approx(half)
    weights: Any = by_net["num_weights"]
    assert (weights["sparse", 16], weights["dense", 8]) == (296, 592)


def test_what_varies_is_a_column_and_what_does_not_is_none():
    runs = table(
        *(
            spec(width=width, learning_rate=rate, num_train=number)
            for width in (4, 8)
            for rate in (0.1, 0.2)
            for number in (None, 100)
        ),
        accuracy=lambda run: run.recipe.learning_rate + (run.data.num_train or 0) / 1000,
    )
    found = means(runs)
    assert list(found.columns[:5]) == ["dataset", "method", "num_train", "learning_rate", "width"]
    assert "epochs" not in found
    accuracies = {
        (row.num_train, row.learning_rate): row.final_test_accuracy
        for row in found.itertuples()
        if row.width == 8
    }
    assert accuracies == pytest.approx(
        {("none", 0.1): 0.1, ("none", 0.2): 0.2, ("100", 0.1): 0.2, ("100", 0.2): 0.3}
    )


def test_only_sparse_nets_have_an_allocation_and_a_pattern():
    explicit = {"output": 0.5}
    runs = table(
        spec(width=4),
        spec(),
        spec(allocation=explicit),
        spec("dense", allocation=explicit),
        spec("linear_bottleneck", width=4, pattern="io"),
        spec("nonlinear_bottleneck"),
    )
    found = nets(means(runs), "method", "allocation", "width")
    # Once for each line but that of linear bottlenecks, which has a narrowest member of its own.
    assert found == [
        ("dense", "-", 4),
        ("dense", "-", 8),
        ("linear_bottleneck", "-", 4),
        ("nonlinear_bottleneck", "-", 4),
        ("nonlinear_bottleneck", "-", 8),
        ("sparse", "level", 4),
        ("sparse", "level", 8),
        ("sparse", '{"output": 0.5}', 4),
        ("sparse", '{"output": 0.5}', 8),
    ]


def test_a_baseline_belongs_to_lines_that_are_trained_alike():
    runs = table(spec(width=4), spec(), spec(epochs=7), spec("dense", width=4))
    found = nets(means(runs), "epochs", "width", "seeds")
    # And trained under two names, it is one run a seed.
    assert found == [(7, 8, 1), (300, 4, 1), (300, 8, 1)]


def test_a_baseline_alone_is_itself():
    assert nets(means(table(spec("dense", width=4))), "method", "width") == [("dense", 4)]


def test_architectures_with_different_fields_are_in_one_table():
    runs = table(spec(), spec(name="resnet18"), spec(num_hidden_layers=2))
    assert nets(means(runs), "model", "hidden_layers", "stem") == [
        ("mlp", "1", "none"),
        ("mlp", "2", "none"),
        ("resnet18", "none", "cifar"),
    ]


def test_diverged_runs_are_counted_apart():
    runs = table(*(spec(seed=seed) for seed in range(3)), accuracy=lambda run: run.seed - 1.0)
    (row,) = means(runs).itertuples()
    assert (row.seeds, row.diverged, row.final_test_accuracy) == (2, 1, 0.5)


def test_families_are_told_apart_by_images_and_budget():
    differences: list[dict[str, Any]] = [
        *({"width": 8}, {"width": 16}, {"learning_rate": 0.2}),  # of one family
        *({"grey": True}, {"num_hidden_layers": 2}, {"dataset": "mnist"}, {"name": "resnet18"}),
    ]
    runs = table(*(spec(seed=seed, **fields) for seed in (0, 1) for fields in differences))
    assert sorted(len(study.table) for study in own_studies(runs, {})) == [2, 2, 2, 2, 6]


def test_runs_of_others_are_shown_where_they_continue_a_line():
    own = table(spec(width=32))
    of_others = [
        spec("dense", width=4),  # the baseline
        spec(width=16),
        spec(width=16, pattern="io"),
        spec("dense", width=16),
        spec(width=16, epochs=3),
        spec(width=16, dataset="mnist"),
    ]
    scale = Scale("laptop", "all of it", lambda: of_others)
    other = Experiment("other", "", "", "", {"laptop": scale}, means, lambda *_: [])
    runs = pd.concat([own, table(*of_others)], ignore_index=True)
    (study,) = own_studies(runs, {"other": other})
    assert nets(study.table, "method", "width") == [("dense", 4), ("sparse", 16), ("sparse", 32)]


def drawn(runs: pd.DataFrame) -> list[dict]:
    return [
        {"name": picture.name, "caption": picture.caption, **json.loads(picture.chart.to_json())}
        for picture in OwnStudy("study-1", runs).draw()
    ]


def lines(picture: dict) -> list[str]:
    return picture["layer"][0]["encoding"]["color"]["scale"]["domain"]


def test_the_picture_has_a_line_per_net_and_says_what_is_seen():
    truth = {("sparse", 4): 0.7, ("sparse", 8): 0.9, ("sparse", 16): 0.8, ("dense", 16): 0.95}
    runs = table(
        *(spec(*net, seed, learning_rate=0.3) for net in truth for seed in (0, 1)),
        accuracy=lambda run: truth[run.widening.method, run.widening.width],
    )
    (picture,) = drawn(runs)
    assert picture["name"] == "study-1"
    assert lines(picture) == ["sparse, 296 weights", "dense, weights grow with the width"]
    assert "Sparse, 296 weights: 90.0% at width 8, +20.0 points on width 4." in picture["caption"]
    assert "the width: 95.0% at width 16, +25.0 points on width 4." in picture["caption"]
    assert picture["title"]["text"] == "digits: MLP with 1 hidden layer, base width 4"
    assert "learning rate 0.3" in picture["title"]["subtitle"][0]
    study = OwnStudy("study-1", runs)
    assert study.seeds == "2 seeds"
    assert "epochs 300, batch size 100, learning rate 0.3" in study.question


def test_the_activation_of_linear_nets_is_called_linear():
    (picture,) = drawn(table(spec(activation="identity"), spec(activation="relu")))
    assert lines(picture) == [
        "sparse, 296 weights, activation linear",
        "sparse, 296 weights, activation ReLU",
    ]


def test_the_sparse_nets_of_several_allocations_are_lines():
    explicit = {"output": 0.5, "hidden.0": 3}
    runs = table(spec(), spec(allocation=explicit), spec("dense"))
    (picture,) = drawn(runs)
    assert lines(picture) == [
        "sparse, 296 weights, allocation level",
        "sparse, 296 weights, allocation output: 0.5, hidden.0: 3",
        "dense, weights grow with the width",
    ]


def test_more_lines_than_can_be_told_apart_are_several_pictures():
    runs = table(
        *(
            spec(method, width, momentum=momentum, allocation=allocation)
            for method in METHODS
            for width in (8, 16)
            for momentum in (0.0, 0.5, 0.9)
            for allocation in ("level", "proportional")
            if method == "sparse" or allocation == "level"
        )
    )
    pictures = drawn(runs)
    assert [picture["name"] for picture in pictures] == ["study-1-1", "study-1-2", "study-1-3"]
    for picture, momentum in zip(pictures, ("0", "0.5", "0.9"), strict=True):
        assert f"Here: momentum {momentum}" in picture["title"]["subtitle"]
        assert len(lines(picture)) == 5
        (rows,) = picture["datasets"].values()
        assert {row["momentum"] for row in rows} == {float(momentum)}
        assert len(rows) == 10


def test_nets_that_are_not_sparse_are_in_the_picture_of_every_allocation():
    allocations = ["level", *({"output": share / 10} for share in range(1, 7))]
    runs = table(*(spec(allocation=each) for each in allocations), spec("dense"))
    pictures = drawn(runs)
    assert len(pictures) == len(allocations)
    for picture in pictures:
        assert lines(picture) == ["sparse, 296 weights", "dense, weights grow with the width"]


def test_a_way_to_train_that_no_sparse_net_has_gets_a_picture():
    allocations = ["level", *({"output": share / 10} for share in range(1, 7))]
    rates = range(1, 9)
    runs = table(
        *(spec(allocation=each) for each in allocations),
        *(spec("dense", learning_rate=float(rate)) for rate in rates),
    )
    found = sorted(lines(picture) for picture in drawn(runs))
    dense = [["dense, weights grow with the width"]] * len(rates)
    assert found == dense + [["sparse, 296 weights"]] * len(allocations)


def test_runs_that_all_diverged_can_be_drawn():
    (picture,) = drawn(table(spec(), spec(width=16), accuracy=lambda _: -1.0))
    assert "Sparse, 296 weights: every run diverged." in picture["caption"]


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({"name": "resnet18", "dataset": "svhn"}, "svhn: ResNet-18, base width 4"),
        (
            {"num_hidden_layers": 2, "shrunk_to": 4, "grey": True, "classes": (3, 5)},
            "digits, classes 3 5, grey yes, shrunk to 4: MLP with 2 hidden layers, base width 4",
        ),
        (
            {"exclude": ["output"]},
            "digits: MLP with 1 hidden layer, base width 4, output dense and not counted",
        ),
    ],
)
def test_titles_say_which_images_and_net(fields: dict[str, Any], title: str):
    assert OwnStudy("study-1", table(spec(**fields))).title == title


def test_lossy_images_are_called_so():
    runs = table(spec(dataset="cifar10")).assign(data_encoding="jpeg")
    assert OwnStudy("study-1", runs).title.startswith("re-encoded cifar10: ")
