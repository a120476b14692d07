"""Tables and charts of suites, with peers that do nothing and with small real ones."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from wider import native
from wider.bench import SUITES, Case, Peer, TimeSuite, find, mlp, read_table, run_suite
from wider.errors import InputError

from .tiny import TINY

PROMISED = {
    "suite",
    "peer",
    "threads",
    "repetitions",
    "seconds",
    "seconds_lower",
    "seconds_upper",
    "ratio",
    "machine",
    "commit",
    "torch",
    "kernels",
    "wider",
}
THREADS_SEEN: list[int] = []


def look() -> None:
    THREADS_SEEN.append(torch.get_num_threads())


def sleepers(*names: str) -> list[Peer]:
    first, *others = names
    return [
        Peer(first, look, max_threads=1),
        *(Peer(name, lambda: time.sleep(1e-3)) for name in others),
    ]


FAKE = TimeSuite(
    name="fake",
    title="Nothing, by width",
    details="nothing at all",
    unit="call",
    along="width",
    cases=[
        Case({"width": width}, lambda: sleepers("native", "masked PyTorch", "dense PyTorch"), 2)
        for width in (5, 80)
    ],
    rivals=("masked PyTorch",),
)
TIMED = [suite for suite in TINY if type(suite) is TimeSuite]


def check(table: pd.DataFrame, suite: TimeSuite) -> None:
    """What every suite's table promises."""
    assert table.columns.is_unique
    assert set(table.columns) >= PROMISED | set(suite.cases[0].columns)
    assert set(table["suite"]) == {suite.name}
    assert len(table) == table["peer"].nunique() * len(suite.cases)
    columns = list(suite.cases[0].columns)
    assert not table.duplicated([*columns, "peer"]).any()
    assert (table["seconds_lower"] > 0).all()
    assert (table["seconds_lower"] <= table["seconds"]).all()
    assert (table["seconds"] <= table["seconds_upper"]).all()
    for _, case in table.groupby(columns):
        seconds = case.set_index("peer")["seconds"]
        np.testing.assert_array_equal(case["ratio"], seconds / seconds["native"])


def test_a_table_has_a_row_per_case_and_peer():
    before = torch.get_num_threads()
    THREADS_SEEN.clear()
    cases = []
    table = run_suite(FAKE, threads=2, repetitions=3, on_case=cases.append)
    check(table, FAKE)
    assert cases == FAKE.cases
    assert set(THREADS_SEEN) == {2}
    assert torch.get_num_threads() == before
    assert table["threads"].tolist() == [1, 2, 2] * 2
    assert (table["repetitions"] == 3).all()
    # A thousandth of a second for two units: a sleep is never shorter than asked.
    assert (table.loc[table["peer"] != "native", "seconds"] >= 5e-4).all()


@pytest.mark.parametrize("suite", TIMED, ids=lambda suite: suite.name)
def test_real_suites_keep_the_same_promises(suite: TimeSuite):
    table = run_suite(suite, threads=1, repetitions=2)
    check(table, suite)
    assert find(suite.name).along == suite.along
    assert set(suite.rivals) <= set(table["peer"])
    if "connectivity" in table:
        assert table["connectivity"].between(0, 1).all()
    drawn = suite.draw(table).to_dict()
    assert drawn["title"]["subtitle"][0].startswith(suite.details)
    panels = 1 if suite.panel is None else table[suite.panel].nunique()
    assert len(suite.remarks(table)) == panels
    assert len(drawn.get("concat", [drawn])) == panels
    assert len(suite.cells(table)) == len(table)


def test_multiply_adds_of_masked_nets_stand_beside_their_widths():
    (suite,) = (suite for suite in TIMED if suite.name == "resnet-step")
    (case,) = suite.cases
    (count,) = case.counts().values()
    assert list(case.counts()) == ["multiply_adds"]
    # A first convolution that stays dense, 3x3 from 3 to 2 channels on 8x8, and more.
    assert count > 8 * 8 * 3 * 3 * 3 * 2
    assert not set(case.counts()) & set(case.columns)


def test_native_and_masked_do_the_same_work():
    (case,) = mlp.step_suite(widths=(16,), num_images=300).cases
    native, masked, dense = case.peers()
    losses = [peer.run().train_loss for peer in (native, masked, dense)]  # pyright: ignore
    assert case.units == 3
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[2] != pytest.approx(losses[1], rel=1e-5)


def test_all_suites_can_be_found_by_their_names():
    for name, suite in SUITES.items():
        assert find(name) is suite
        assert suite.name == name
        assert all(suite.along in case.columns for case in suite.cases)


def test_an_unknown_suite_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="'mlp-walk'; use one of: mlp-step, mlp-batch, linear"):
        find("mlp-walk")


@pytest.mark.parametrize(("threads", "repetitions"), [(0, 1), (1, 0)])
def test_nothing_is_measured_on_no_thread_or_never(threads: int, repetitions: int):
    with pytest.raises(InputError, match="is 0; use at least 1"):
        run_suite(FAKE, threads=threads, repetitions=repetitions)


def test_without_kernels_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(native, "is_available", lambda: False)
    with pytest.raises(InputError, match="pip install ziglang"):
        run_suite(FAKE, threads=1, repetitions=1)


@pytest.mark.parametrize("path", sorted(Path("results").glob("bench-*.csv")), ids=lambda p: p.stem)
def test_committed_tables_can_be_read(path: Path):
    table = read_table(path)
    suite = find(table["suite"].iloc[0])
    assert {"native"} < set(table["peer"])
    assert suite.remarks(table)
