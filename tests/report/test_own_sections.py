"""The sections of runs that belong to no experiment."""

from pathlib import Path

import pandas as pd
import pytest

from wider.report import own_sections, runs_in_results, runs_in_store, write_page, write_pictures
from wider.runs import RunSpec, Store, Widening, execute
from wider.study import EXPERIMENTS

NAME = "<b>mine</b>"


def _own(width: int, seed: int, *, base_width: int = 4) -> RunSpec:
    demo = EXPERIMENTS["demo"].scale("smoke").specs()[0]
    widening = Widening(base_width=base_width, width=width)
    return demo.model_copy(update={"widening": widening, "seed": seed})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The demo's smallest scale, two more widths of its family, and another family."""
    store = Store(tmp_path_factory.mktemp("store"))
    specs = [
        *EXPERIMENTS["demo"].scale("smoke").specs(),
        *(_own(width, seed) for width in (6, 10) for seed in (0, 1)),
        _own(12, 0, base_width=3),
        _own(12, 1, base_width=3),
    ]
    for spec in specs:
        execute(spec, store)
    return runs_in_store(store.path)


def test_there_is_a_section_for_each_family_with_runs_of_ones_own(runs: pd.DataFrame):
    other, own = own_sections(runs)
    assert (other.anchor, own.anchor) == ("study-1-own", "study-2-own")
    assert set(other.table["base_width"]) == {3}
    assert (len(other.table), other.num_runs) == (2, 2)
    # Of the demo, the sparse nets and the baseline are shown too, its control is not.
    found = own.table.groupby(["method", "width"]).size().to_dict()
    assert found == {("dense", 4): 2, ("sparse", 6): 2, ("sparse", 10): 2, ("sparse", 16): 2}
    assert own.num_runs == 8
    assert own.summary["width"].tolist() == [4, 6, 10, 16]
    for width, accuracy in zip(
        own.summary["width"], own.summary["final_test_accuracy"], strict=True
    ):
        same = own.table[own.table["width"] == width]
        assert accuracy == pytest.approx(same["final_test_accuracy"].mean(), rel=1e-12)
    assert own.command == "wider sweep STUDY.toml"


def test_where_all_runs_are_of_experiments_there_is_none(runs: pd.DataFrame):
    known = {spec.key for spec in EXPERIMENTS["demo"].scale("smoke").specs()}
    assert list(own_sections(runs[runs["key"].isin(known)])) == []


def test_the_committed_tables_are_all_of_experiments():
    results = Path(__file__).parents[2] / "results"
    assert list(own_sections(runs_in_results(results))) == []


def test_the_page_has_them_after_the_experiments(runs: pd.DataFrame, tmp_path: Path):
    sections = write_page(runs, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    anchors = [section.anchor for section in sections]
    assert anchors[0] == "demo-smoke"
    assert anchors[-2:] == ["study-1-own", "study-2-own"]
    assert "digits: MLP with 1 hidden layer, base width 4</h3>" in text
    assert "scale own: 2 seeds; 8 of 8 runs are done" in text
    assert "wider sweep STUDY.toml</code>" in text
    paths = write_pictures(sections[-1:], tmp_path)
    assert [path.name for path in paths] == [
        "study-2-own.pdf",
        "study-2-own.png",
        "study-2-own.svg",
    ]


def test_names_of_datasets_are_text(runs: pd.DataFrame, tmp_path: Path):
    named = runs.assign(dataset=NAME)
    *_, own = write_page(named, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert own.command == "wider sweep STUDY.toml --data-dir DIR"
    assert NAME not in text
    assert "&lt;b&gt;mine&lt;/b&gt;: MLP with 1 hidden layer" in text
    assert own.anchor == "study-2-own"  # no file is named after them either
    assert [picture.name for picture in own.pictures] == ["study-2"]


def test_old_tables_lack_some_columns(runs: pd.DataFrame, tmp_path: Path):
    older = runs.drop(columns=["bias", "num_validation", "split_seed", "shrunk_to"])
    older.to_csv(tmp_path / "demo-smoke.csv", index=False)
    read = runs_in_results(tmp_path)
    assert [section.num_runs for section in own_sections(read)] == [2, 8]
