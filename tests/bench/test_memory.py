"""Memory of training, in this process and in one of its own."""

import os
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from wider.bench import Case, Contestant, MemorySuite, _memory, resnet, run_suite

from .tiny import SMALL


def net(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


def where() -> dict[str, float]:
    return {"peak_bytes": os.getpid(), "file_bytes": torch.get_num_threads()}


def test_bytes_are_those_of_the_net_and_its_optimiser():
    found = _memory.training_memory(partial(net, 32), partial(net, 2), (16, 1, 8, 8))
    weights = 4 * (64 * 32 + 32 + 32 * 10 + 10)
    assert found["parameter_bytes"] == weights
    assert found["optimiser_bytes"] == 2 * weights  # gradients and momentum
    assert weights < found["file_bytes"] < weights + 1000


@pytest.mark.skipif(not _memory.STATUS.exists(), reason="only Linux tells a process its peak")
def test_the_peak_holds_all_that_training_needs_and_little_more():
    width = 2**17  # weights, gradients and momentum of 38 MB each
    found = _memory.training_memory(partial(net, width), partial(net, 2), (16, 1, 8, 8))
    needed = found["parameter_bytes"] + found["optimiser_bytes"]
    assert needed < found["peak_bytes"] < 2 * needed


def test_where_the_peak_is_not_told_it_is_not_a_number(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setattr(_memory, "STATUS", tmp_path / "nothing")
    monkeypatch.setattr(_memory, "FORGET_PEAK", tmp_path / "nothing")
    found = _memory.training_memory(partial(net, 4), partial(net, 2), (16, 1, 8, 8))
    assert found["peak_bytes"] != found["peak_bytes"]
    assert found["parameter_bytes"] > 0


def test_a_process_of_its_own_on_as_many_threads_as_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # where the process finds this module
    found = _memory.in_fresh_process(where, 2)
    assert found["peak_bytes"] != os.getpid()
    assert found["file_bytes"] == 2


def test_a_process_for_each_contestant_and_repetition_up_to_three(monkeypatch: pytest.MonkeyPatch):
    peaks = iter((5.0, 1.0, 3.0, 7.0, 7.0, 7.0))
    monkeypatch.setattr(
        _memory, "in_fresh_process", lambda _, used: {"peak_bytes": next(peaks), "used": used}
    )
    contestants = [Contestant("native", where), Contestant("masked PyTorch", where, max_threads=1)]
    case = Case({"width": 1}, lambda: contestants)
    suite = MemorySuite(name="m", title="M", details="", along="width", cases=[case])
    rows = suite.rows(case, threads=2, repetitions=7)
    assert [row["repetitions"] for row in rows] == [3, 3]
    assert [row["used"] for row in rows] == [2, 1]
    ends = "peak_bytes_lower", "peak_bytes", "peak_bytes_upper"
    assert [[row[end] for end in ends] for row in rows] == [[1, 3, 5], [7, 7, 7]]


def test_a_native_net_is_smaller_in_memory_and_on_disk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_memory, "in_fresh_process", lambda run, _: run())
    table = run_suite(resnet.memory_suite(widths=(4,), **SMALL), threads=1, repetitions=1)
    assert table["contestant"].tolist() == ["native", "masked PyTorch"]
    assert {"width", "repetitions", "machine", *_memory.QUANTITIES} <= set(table.columns)
    native, masked = table.to_dict("records")
    for quantity in ("parameter_bytes", "optimiser_bytes", "file_bytes"):
        assert 0 < native[quantity] < masked[quantity]
