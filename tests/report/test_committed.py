"""The committed runs, opened from Python."""

from pathlib import Path

import pandas as pd
import pytest

import wider
from wider.report import verdict_rows
from wider.runs import read_table
from wider.study import EXPERIMENTS

RESULTS = Path(__file__).parents[2] / "results"


def test_a_study_is_its_table_its_pictures_and_its_verdicts():
    study = wider.open_study("figure-4")
    assert (study.name, study.scale.name, study.num_runs) == ("figure-4", "paper", 514)
    kept = read_table(RESULTS / "figure-4-paper.csv")
    columns = ["key", "width", "best_test_accuracy"]
    pd.testing.assert_frame_equal(
        study.table[columns].sort_values("key", ignore_index=True),
        kept[columns].sort_values("key", ignore_index=True),
    )
    assert set(study.summary["activation"]) == {"relu", "identity"}
    assert [picture.name for picture in study.draw()] == ["figure-4", "figure-4-cut"]
    assert all(study.scale.label in str(each.chart.to_dict()) for each in study.draw())


def test_the_verdicts_are_those_of_the_page():
    study = wider.open_study("figure-9")
    runs = wider.report.runs_in_results(RESULTS)
    page = {
        row.verdict.claim.name: row.verdict for row in verdict_rows(runs, EXPERIMENTS.values(), [])
    }
    assert {each.claim.name for each in study.verdicts} == {
        claim.name for claim in EXPERIMENTS["figure-9"].claims
    }
    for each in study.verdicts:
        assert each.outcome == page[each.claim.name].outcome
        assert each.corrected_p_value == page[each.claim.name].corrected_p_value


def test_a_scale_can_be_named_and_a_figure_without_runs_is_drawn():
    assert len(wider.open_study("figure-4", scale="laptop").table) == 204
    (picture,) = wider.open_study("figure-2").draw()
    assert picture.caption


@pytest.mark.parametrize(
    ("name", "scale", "message"),
    [
        ("figure-99", None, "unknown experiment 'figure-99'"),
        ("figure-4", "huge", "no scale 'huge'"),
        ("figure-4", "smoke", "figure-4 at scale smoke was committed: open one of paper, laptop"),
        ("table-1", None, "no run of table-1 was committed: train some with `wider run`"),
    ],
)
def test_what_is_not_there_is_refused(name: str, scale: str | None, message: str):
    with pytest.raises(wider.InputError, match=message):
        wider.open_study(name, scale)
