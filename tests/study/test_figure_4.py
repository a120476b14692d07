import pandas as pd
import pytest

from wider.sparsity import count_weights
from wider.study import Scale
from wider.study.mlp import figure_4
from wider.tasks import Task
from wider.training import Recipe

SCALE = figure_4.EXPERIMENT.scale("laptop")


def results(accuracies: dict[tuple[str, int, float], list[float]], **columns) -> pd.DataFrame:
    """A table of runs with the given best-epoch accuracies, one per seed."""
    rows = [
        {
            "activation": activation,
            "width": width,
            "output_connectivity": connectivity,
            "seed": seed,
            "status": "finished",
            "best_test_accuracy": accuracy,
            "final_train_accuracy": accuracy,
            "num_weights": 3970,
            "num_effective_weights": 3970,
            "connectivity": 5 / width,
            "multiply_adds": 3970,
            "final_test_accuracy": accuracy - 0.01,
            **columns,
        }
        for (activation, width, connectivity), values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("scale", figure_4.EXPERIMENT.scales.values(), ids=lambda scale: scale.name)
def test_every_run_of_every_scale_exists_and_meets_the_budget(scale: Scale):
    specs = scale.specs()
    assert len({spec.key for spec in specs}) == len(specs)
    for spec in [
        spec for spec in specs if spec.seed == 0 and spec.model.table["activation"] == "relu"
    ]:
        net = spec.build(Task.of_images((1, 28, 28), 10))
        assert count_weights(net) == 3970, spec.title


def test_cells_exist_exactly_where_both_layers_can_hold_their_share():
    tenths = [tenth / 10 for tenth in range(1, 11)]
    cells = {
        (width, tenth)
        for width in figure_4.WIDTHS
        for tenth in tenths
        if figure_4._exists(width, tenth)
    }
    # The first layer gets 3970 - 10 n c weights and holds at most 784 n and at least one.
    expected = {
        (width, tenth)
        for width in figure_4.WIDTHS
        for tenth in tenths
        if 1 <= 3970 - round(10 * width * tenth) <= 784 * width
    }
    assert cells == expected
    assert [cell for cell in cells if cell[0] == 5] == [(5, 1.0)]  # the dense baseline
    assert (640, 0.6) in cells
    assert (640, 0.7) not in cells


def test_paper_scale_is_appendix_a_to_the_letter():
    specs = figure_4.EXPERIMENT.scale("paper").specs()
    for spec in specs:
        assert spec.recipe.model_dump() == Recipe().model_dump() | {
            "epochs": 300,
            "batch_size": 100,
            "learning_rate": 0.1,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "schedule": "steps",
            "milestones": (),
            "augmentation": "none",
        }
        assert spec.data.num_train is None
    assert {spec.widening.width for spec in specs} == {5, 10, 20, 40, 80, 160, 320, 640}
    assert {spec.model.table["activation"] for spec in specs} == {"relu", "identity"}


def test_best_cell_is_the_highest_mean_and_not_the_highest_run():
    cells = figure_4.summarise(
        results({("relu", 80, 1.0): [0.95, 0.95], ("relu", 160, 1.0): [0.99, 0.80]})
    )
    best = figure_4.best_cell(cells, "relu")
    assert best is not None
    assert best.width == 80
    assert best.connectivity == pytest.approx(3970 / 63520)
    assert figure_4.best_cell(cells, "identity") is None


def test_a_diverged_cell_is_shown_as_such_and_never_best():
    table = results({("relu", 5, 1.0): [0.9, 0.9], ("relu", 80, 1.0): [0.99, 0.99]})
    table.loc[table["width"] == 80, "status"] = "diverged"
    cells = figure_4.summarise(table)
    diverged = cells[cells["width"] == 80].iloc[0]
    assert (diverged.seeds, diverged.diverged) == (0, 2)
    best = figure_4.best_cell(cells, "relu")
    assert best is not None
    assert best.width == 5
    grid, _ = figure_4.draw(table, SCALE)
    assert '"diverged"' in grid.chart.to_json()


def test_pictures_show_scale_star_paper_and_finding():
    table = results(
        {
            ("relu", 5, 1.0): [0.88, 0.90],
            ("relu", 80, 1.0): [0.96, 0.97],
            ("relu", 80, 0.5): [0.94, 0.95],
            ("identity", 5, 1.0): [0.89, 0.89],
            ("identity", 40, 1.0): [0.92, 0.93],
        }
    )
    grid, cut = figure_4.draw(table, SCALE)
    for picture in (grid, cut):
        assert SCALE.label in picture.chart.to_json()
    assert "96.5% at width 80 (connectivity 0.062, last layer 1)" in grid.caption
    assert "dense baseline 89.0%" in grid.caption
    assert "The paper: 96.3% at width 80 or 160" in grid.caption
    assert "92.5% at width 40" in grid.caption
    specification = grid.chart.to_json()
    assert specification.count(figure_4.STAR) == 2  # one panel each
    assert '"paper"' in specification


def test_the_cut_follows_level_allocation():
    # Level allocation keeps all 800 weights of the last layer at width 80, and 1,985 of 6,400
    # (0.31) at width 640.
    cells = {
        ("relu", 80, 1.0): [0.96],
        ("relu", 80, 0.5): [0.98],
        ("relu", 640, 0.6): [0.7],
        ("relu", 640, 0.25): [0.9],
    }
    _, cut = figure_4.draw(results(cells), SCALE)
    assert cut.caption.startswith("ReLU: 96.0% at width 80, 90.0% at width 640.")
