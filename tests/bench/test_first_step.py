"""The wait for the first step."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from wider import executors
from wider.bench import Case, Peer, first_step, run_suite

from .tiny import TINY, small_net

(SUITE,) = (suite for suite in TINY if isinstance(suite, first_step.FirstStepSuite))


def test_all_three_steps_are_timed():
    found = first_step.first_steps(small_net, (16, 8), 3)
    assert found.keys() == first_step.QUANTITIES.keys()
    assert all(seconds > 0 for seconds in found.values())


def test_each_net_is_measured_in_processes_of_its_own(monkeypatch: pytest.MonkeyPatch):
    seen = []

    def peer(name: str, seconds: float) -> Peer:
        def steps() -> dict[str, float]:
            seen.append((name, torch.get_num_threads()))
            return dict.fromkeys(first_step.QUANTITIES, seconds)

        return Peer(name, steps)

    def in_workers(run: Callable[[int], object], threads: list[int], jobs: int) -> Iterator[object]:
        assert (len(threads), jobs) == (1, 2)  # one job would be done in this process
        return map(run, threads)

    monkeypatch.setattr(executors, "in_workers", in_workers)
    peers = [peer("native", 1.0), peer("masked PyTorch", 3.0)]
    suite = replace(SUITE, cases=[Case({"net": "small"}, lambda: peers)])
    table = run_suite(suite, threads=2, repetitions=7)
    assert seen == [("native", 2), ("masked PyTorch", 2)] * 3  # in turn
    assert table["peer"].tolist() == ["native", "masked PyTorch"]
    assert table["first_seconds"].tolist() == [1.0, 3.0]
    assert "-2.00 s" in suite.remarks(table)[0]
    assert suite.cells(table)["first"].tolist() == ["1.000", "3.000"]
    assert "facet" in suite.draw(table).to_dict()
