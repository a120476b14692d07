import pandas as pd
import pytest

from wider.sparsity import count_weights
from wider.study import Scale
from wider.study.mlp import figure_4, figure_4_checks
from wider.tasks import Task

EXPERIMENT = figure_4_checks.EXPERIMENT
SCALE = EXPERIMENT.scale("paper")


def results(accuracies: dict[tuple[str, int, str], list[float]]) -> pd.DataFrame:
    """A table of runs with the given best-epoch accuracies, one per seed."""
    rows = [
        {
            "activation": activation,
            "width": width,
            "normalisation": "channel" if check == "batch norm" else check,
            "batch_norm": check == "batch norm",
            "seed": seed,
            "status": "finished",
            "best_test_accuracy": accuracy,
            "final_train_accuracy": accuracy,
            "num_weights": 3970,
            "num_effective_weights": 3970,
            "connectivity": 5 / width,
            "multiply_adds": 3970,
            "final_test_accuracy": accuracy - 0.01,
        }
        for (activation, width, check), values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("scale", EXPERIMENT.scales.values(), ids=lambda scale: scale.name)
def test_every_cell_has_every_seed_and_scale_and_the_best_ones_batch_norm(scale: Scale):
    specs = scale.specs()
    seeds = {spec.seed for spec in specs}
    asked = {
        (
            spec.model.table["activation"],
            spec.widening.width,
            "batch norm" if spec.model.table["batch_norm"] else spec.data.normalisation,
            spec.seed,
        )
        for spec in specs
    }
    assert asked == {
        (activation, width, check, seed)
        for activation, width in [("relu", 5), ("relu", 80), ("relu", 160), ("identity", 40)]
        for check in ("channel", "unit", "pixel", "batch norm")
        for seed in seeds
        if check != "batch norm" or (activation, width) in [("relu", 80), ("relu", 160)]
    }
    # A seed is complete before the next one starts, so that an unfinished set is balanced.
    assert [spec.seed for spec in specs] == sorted(spec.seed for spec in specs)


def test_every_net_meets_the_budget_with_its_last_layer_dense():
    for spec in EXPERIMENT.scale("smoke").specs():
        net = spec.build(Task.of_images((1, 28, 28), 10))
        assert count_weights(net) == 3970, spec.title
        assert spec.widening.allocation == {"output": 1.0}


@pytest.mark.parametrize("name", ["laptop", "paper"])
def test_runs_with_figure_4s_normalisation_are_figure_4s_runs(name: str):
    figure_4_keys = {spec.key for spec in figure_4.EXPERIMENT.scale(name).specs()}
    for spec in EXPERIMENT.scale(name).specs():
        # At scale paper these cells have ten seeds there, too.
        seeds = {"laptop": 3, "paper": 10}[name]
        plain = spec.data.normalisation == "channel" and not spec.model.table["batch_norm"]
        of_figure_4 = plain and spec.seed < seeds
        assert (spec.key in figure_4_keys) == of_figure_4, spec.title


def test_smoke_runs_are_not_figure_4s():
    figure_4_keys = {spec.key for spec in figure_4.EXPERIMENT.scale("smoke").specs()}
    assert not figure_4_keys & {spec.key for spec in EXPERIMENT.scale("smoke").specs()}


def test_paper_scale_is_figure_4s_schedule_with_ten_seeds():
    specs = SCALE.specs()
    recipe = figure_4.EXPERIMENT.scale("paper").specs()[0].recipe
    assert all(spec.recipe == recipe for spec in specs)
    assert {spec.data.num_train for spec in specs} == {None}
    assert {spec.seed for spec in specs} == set(range(10))


def test_the_summary_has_the_papers_number_beside_ours():
    means = EXPERIMENT.summarise(
        results(
            {
                ("relu", 80, "channel"): [0.960, 0.962],
                ("relu", 80, "unit"): [0.964],
                ("identity", 40, "channel"): [0.926],
            }
        )
    ).set_index(figure_4_checks.POINT)
    assert means.loc[("relu", 80, "channel"), "best_test_accuracy"] == pytest.approx(0.961)
    assert means.loc[("relu", 80, "channel"), "final_test_accuracy"] == pytest.approx(0.951)
    assert means.loc[("relu", 80, "unit"), "accuracy_in_paper"] == 0.963
    assert means.loc[("identity", 40, "channel"), "accuracy_in_paper"] == 0.927


def test_the_picture_shows_scale_seeds_means_and_the_paper():
    table = results(
        {
            ("relu", 80, "channel"): [0.960, 0.962],
            ("relu", 80, "unit"): [0.964],
            ("relu", 5, "channel"): [0.9012, 0.9034],
        }
    )
    (picture,) = EXPERIMENT.draw(table, SCALE)
    # The 97.5% quantile of Student's t with one degree of freedom is 12.7062.
    assert picture.caption == (
        "ReLU, width 80: channel 96.10% ± 1.27 (2 seeds), unit 96.40% (1 seed); the paper: 96.3%. "
        "ReLU, width 5: channel 90.23% ± 1.40 (2 seeds); the paper: about 90%."
    )
    panels = picture.chart.to_dict()["hconcat"]
    assert [panel["title"]["text"] for panel in panels] == ["ReLU, width 80", "ReLU, width 5"]
    assert panels[0]["title"]["subtitle"] == "the paper: 96.3%"
    assert SCALE.label in picture.chart.to_json()


def test_cells_with_the_same_number_in_the_paper_have_the_same_axis():
    table = results(
        {
            ("relu", 80, "channel"): [0.961, 0.962],
            ("relu", 160, "channel"): [0.955, 0.956],
            ("identity", 40, "channel"): [0.926, 0.927],
        }
    )
    (picture,) = EXPERIMENT.draw(table, SCALE)
    chart = picture.chart.to_dict()
    domains = [panel["layer"][0]["encoding"]["y"]["scale"]["domain"] for panel in chart["hconcat"]]
    assert domains[0] == domains[1] != domains[2]
    # Every dot, every end of an interval and the paper's number lie inside.
    assert domains[0][0] < 95.5
    assert domains[0][1] > 96.3


def test_a_diverged_point_is_said_to_be_so_and_has_no_dot():
    table = results({("relu", 80, "channel"): [0.96, 0.96], ("relu", 80, "pixel"): [0.1, 0.1]})
    table.loc[table["normalisation"] == "pixel", "status"] = "diverged"
    (picture,) = EXPERIMENT.draw(table, SCALE)
    assert "channel 96.00% ± 0.00 (2 seeds), pixel diverged; the paper" in picture.caption
    assert '"percent": 10.0' not in picture.chart.to_json()


def test_draws_where_all_runs_diverged():
    table = results({("relu", 80, "channel"): [0.1]})
    table["status"] = "diverged"
    (picture,) = EXPERIMENT.draw(table, SCALE)
    assert picture.caption == "ReLU, width 80: channel diverged; the paper: 96.3%."
    assert picture.chart.to_json()
