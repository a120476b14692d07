"""Memory of training, in this process and in one of its own."""

import os
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from wider import executors
from wider.bench import Case, MemorySuite, Peer, resnet, run_suite, training_memory

from .tiny import SMALL, in_this_process


def net(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


def where() -> dict[str, float]:
    return {"peak_bytes": os.getpid(), "file_bytes": torch.get_num_threads()}


def test_bytes_are_those_of_the_net_and_its_optimiser():
    found = training_memory(partial(net, 32), partial(net, 2), (16, 1, 8, 8))
    weights = 4 * (64 * 32 + 32 + 32 * 10 + 10)
    assert found["parameter_bytes"] == weights
    assert found["optimiser_bytes"] == 2 * weights  # gradients and momentum
    assert weights < found["file_bytes"] < weights + 1000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its peak")
def test_the_peak_holds_all_that_training_needs_and_little_more():
    width = 2**17  # weights, gradients and momentum of 38 MB each
    found = training_memory(partial(net, width), partial(net, 2), (16, 1, 8, 8))
    needed = found["parameter_bytes"] + found["optimiser_bytes"]
    assert needed < found["peak_bytes"] < 2 * needed


def test_where_the_peak_is_not_told_it_is_not_a_number(monkeypatch: pytest.MonkeyPatch):
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.parts[1] != "proc" and exists(path))
    found = training_memory(partial(net, 4), partial(net, 2), (16, 1, 8, 8))
    assert found["peak_bytes"] != found["peak_bytes"]
    assert found["parameter_bytes"] > 0


def suite_of(*peers: Peer) -> MemorySuite:
    case = Case({"width": 1}, lambda: peers)
    return MemorySuite(name="m", title="M", details="", along="width", cases=[case])


def test_a_process_of_its_own_on_as_many_threads_as_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # where the process finds this module
    suite = suite_of(Peer("native", where))
    (row,) = suite.rows(*suite.cases, threads=2, repetitions=1)
    assert row["peak_bytes"] != os.getpid()
    assert row["file_bytes"] == 2


def test_a_process_for_each_peer_and_repetition_up_to_three(monkeypatch: pytest.MonkeyPatch):
    peaks = iter((5.0, 1.0, 3.0, 7.0, 7.0, 7.0))

    def in_workers(_, threads: list[int], *, jobs: int) -> list[dict[str, float]]:
        return [{"peak_bytes": next(peaks), "used": number} for number in threads]

    monkeypatch.setattr(executors, "in_workers", in_workers)
    suite = suite_of(Peer("native", where), Peer("masked PyTorch", where, max_threads=1))
    rows = suite.rows(*suite.cases, threads=2, repetitions=7)
    assert [row["repetitions"] for row in rows] == [3, 3]
    assert [row["used"] for row in rows] == [2, 1]
    ends = "peak_bytes_lower", "peak_bytes", "peak_bytes_upper"
    assert [[row[end] for end in ends] for row in rows] == [[1, 3, 5], [7, 7, 7]]


def test_a_native_net_is_smaller_in_memory_and_on_disk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(executors, "in_workers", in_this_process)
    table = run_suite(resnet.memory_suite(widths=(4,), **SMALL), threads=1, repetitions=1)
    assert table["peer"].tolist() == ["native", "masked PyTorch"]
    sizes = {"parameter_bytes", "optimiser_bytes", "file_bytes"}
    assert {"width", "repetitions", "machine", "peak_bytes", *sizes} <= set(table.columns)
    native, masked = table.to_dict("records")
    for quantity in sizes:
        assert 0 < native[quantity] < masked[quantity]
