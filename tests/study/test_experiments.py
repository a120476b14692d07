from dataclasses import replace
from pathlib import Path

import pytest

from wider.catalogue import catalogue
from wider.cli import main
from wider.data import KNOWN, write_shards
from wider.errors import InputError
from wider.report import runs_in_store, section_of, shows_something
from wider.runs import Store, runs_table, train_missing
from wider.study import (
    EXPERIMENTS,
    Experiment,
    as_listed,
    estimated_core_seconds,
    estimated_gigabytes,
    estimated_gpu_hours,
)
from wider.tasks import Task

DRAWN = ["figure-2", "figure-8", "figure-10"]  # from nets that nobody trains
TRAINED = [each for each in EXPERIMENTS.values() if each.name not in DRAWN]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDER_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def sources(
    experiment: Experiment,
    data_dir: Path,
    photos_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The data of an experiment; for ImageNet a tiny folder of photographs, prepared."""
    if "imagenet" not in experiment.scale("smoke").datasets:
        return data_dir
    imagenet = replace(KNOWN["imagenet"], task=Task.of_images((3, 224, 224), 2))
    monkeypatch.setitem(KNOWN, "imagenet", imagenet)
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals" / "imagenet").symlink_to(photos_dir / "photos")
    write_shards("imagenet", tmp_path / "prepared", data_dir=tmp_path / "originals")
    return tmp_path / "prepared"


# One worker that decodes is enough here, and it touches nothing that a thread holds.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
# Whole kernels and whole channels cannot meet every budget.
@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("experiment", TRAINED, ids=lambda each: each.name)
class TestEveryExperiment:
    """What every experiment with runs must do; a new one is tested as soon as it is listed."""

    def test_runs_from_the_command_line_and_draws(
        self,
        experiment: Experiment,
        tmp_path: Path,
        sources: Path,
        capsys: pytest.CaptureFixture[str],
    ):
        scale = experiment.scale("smoke")
        store = tmp_path / "s"
        flags = ["--scale", "smoke", "--store", str(store), "--data-dir", str(sources)]
        assert main(["run", experiment.name, *flags, "--picture", str(tmp_path / "c.png")]) == 0
        shown = capsys.readouterr()
        assert f"all of it as a page: wider report --store {store}" in shown.err
        table = section_of(experiment, scale, runs_in_store(store)).table
        assert len(table) == len(scale.specs())
        assert table["final_test_accuracy"].between(0, 1).all()
        assert len(experiment.summarise(table)) > 0
        pictures = experiment.draw(table, scale)
        for picture in pictures:
            assert scale.label in picture.chart.to_json()
            assert picture.caption in shown.err.replace("\n", " ")
        written = sorted(tmp_path.glob("*.png"))
        assert len(written) == len([each for each in pictures if shows_something(each.chart)])
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)

    def test_draws_from_an_unfinished_set(
        self, experiment: Experiment, tmp_path: Path, sources: Path
    ):
        scale = experiment.scale("smoke")
        first = scale.specs()[:1]
        runs = train_missing(first, Store(tmp_path / "s"), data_dir=sources)
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
        with pytest.raises(InputError, match="no scale 'huge'; use one of: smoke, "):
            experiment.scale("huge")


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "html"])
def test_what_is_drawn_from_untrained_nets_runs_from_the_command_line(
    name: str, ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / f"chart.{ending}"
    assert main(["run", name, "--picture", str(path)]) == 0
    assert path.read_bytes()[:5] in {
        b"\x89PNG\r",
        b"<svg ",
        b"%PDF-",
        b"<!DOC",
    }
    shown = capsys.readouterr()
    assert f"picture written to {path}" in shown.err
    assert "weights" in shown.out


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_from_untrained_nets_needs_no_run(name: str, tmp_path: Path):
    experiment = EXPERIMENTS[name]
    scale = experiment.scale()
    assert list(scale.specs()) == []
    nothing = runs_table([])
    assert len(experiment.summarise(nothing)) > 0
    (picture,) = experiment.draw(nothing, scale)
    assert scale.label in picture.chart.to_json()
    picture.chart.save(str(tmp_path / "chart.png"))
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_catalogue_has_names_scales_and_costs(name: str):
    """Mended by `python -m benchmarks.catalogue`."""
    listed, computed = catalogue()[name], as_listed(EXPERIMENTS[name])
    assert listed == computed
    assert list(listed.scales) == list(computed.scales)


def test_the_catalogue_has_no_others():
    assert list(catalogue()) == list(EXPERIMENTS)


def test_every_figure_and_table_of_the_paper_is_there():
    assert {f"figure-{number}" for number in range(1, 14)} | {"table-1"} <= set(EXPERIMENTS)


def test_imagenet_needs_disk_and_a_gpu_for_days():
    paper = EXPERIMENTS["table-1"].scale("paper").specs()
    # 180.6 million weights at width 256: the dense net's 29 billion multiply-adds, three times per
    # image, dominate: 1.28 million images, 150 epochs.
    assert 50 < estimated_gpu_hours(paper) < 500
    assert estimated_gigabytes(paper) == 190
    assert estimated_gigabytes(EXPERIMENTS["figure-5"].scale("paper").specs()) == 0


def test_unknown_experiment_names_the_known_ones():
    with pytest.raises(InputError, match="unknown experiment 'figure-99'; use 'demo', 'figure-1'"):
        EXPERIMENTS.find("figure-99")
