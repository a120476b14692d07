"""The wait for the first step."""

from dataclasses import replace
from functools import partial

import pytest

from wider.bench import first_step, run_suite

from .tiny import TINY, small_net

(SUITE,) = (suite for suite in TINY if isinstance(suite, first_step.FirstStepSuite))


def test_all_three_steps_are_timed():
    found = first_step.first_steps(small_net, (16, 8), 3)
    assert found.keys() == first_step.QUANTITIES.keys()
    assert all(seconds > 0 for seconds in found.values())


def test_each_net_is_measured_in_processes_of_its_own(monkeypatch: pytest.MonkeyPatch):
    seen = []

    def measured(run: partial, threads: int) -> dict[str, float]:
        make_net, *_ = run.args
        seen.append((make_net is small_net, threads))
        return dict.fromkeys(first_step.QUANTITIES, 3.0 if make_net is small_net else 1.0)

    monkeypatch.setattr(first_step, "in_fresh_process", measured)
    suite = replace(SUITE, cases=SUITE.cases[:1])
    table = run_suite(suite, threads=2, repetitions=7)
    assert seen == [(False, 2), (True, 2)] * 3  # native and masked in turn
    assert table["contestant"].tolist() == ["native", "masked PyTorch"]
    assert table["first_seconds"].tolist() == [1.0, 3.0]
    assert "-2.00 s" in suite.remarks(table)[0]
    assert suite.cells(table)["first"].tolist() == ["1.000", "3.000"]
    assert "facet" in suite.draw(table).to_dict()
