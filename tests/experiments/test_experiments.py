from pathlib import Path

import pytest

from wider.errors import InputError
from wider.experiments import EXPERIMENTS, Experiment, estimated_core_seconds, find, runs_table
from wider.runs import Store, train_missing


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDER_CACHE_DIR", str(tmp_path / "cache"))


# Whole kernels and whole channels cannot meet every budget.
@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda each: each.name)
class TestEveryExperiment:
    """What every experiment must do; a new one is tested as soon as it is listed."""

    def test_runs_at_smoke_and_draws(self, experiment: Experiment, tmp_path: Path, data_dir: Path):
        scale = experiment.scale("smoke")
        runs = train_missing(scale.specs(), Store(tmp_path / "s"), data_dir=data_dir)
        table = runs_table(runs)
        assert len(table) == len(scale.specs())
        assert table["final_test_accuracy"].between(0, 1).all()
        assert len(experiment.summarise(table)) > 0
        for picture in experiment.draw(table, scale):
            assert scale.label in picture.chart.to_json()
            assert picture.caption
            picture.chart.save(str(tmp_path / "chart.png"))
            assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")

    def test_draws_from_an_unfinished_set(
        self, experiment: Experiment, tmp_path: Path, data_dir: Path
    ):
        scale = experiment.scale("smoke")
        first = scale.specs()[:1]
        runs = train_missing(first, Store(tmp_path / "s"), data_dir=data_dir)
        for picture in experiment.draw(runs_table(runs), scale):
            picture.chart.to_json()

    def test_scales_grow_and_name_their_cuts(self, experiment: Experiment):
        costs = [estimated_core_seconds(scale.specs()) for scale in experiment.scales.values()]
        assert costs == sorted(costs)
        assert next(iter(experiment.scales)) == "smoke"
        for scale in experiment.scales.values():
            assert scale.description

    def test_runs_are_told_apart_by_their_keys(self, experiment: Experiment):
        for scale in experiment.scales.values():
            specs = scale.specs()
            assert len({spec.key for spec in specs}) == len(specs)

    def test_unknown_scale_names_the_known_ones(self, experiment: Experiment):
        with pytest.raises(InputError, match="no scale 'huge'; use one of: smoke, laptop"):
            experiment.scale("huge")


def test_unknown_experiment_names_the_known_ones():
    with pytest.raises(
        InputError, match="unknown experiment 'figure-99'; use one of: demo, figure-1"
    ):
        find("figure-99")
