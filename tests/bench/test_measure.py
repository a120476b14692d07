"""Timing: order of the calls, and everything as it was afterwards."""

import gc

import pytest
import torch

from wider.bench import measure, torch_threads


def test_peers_take_turns_after_an_untimed_call_each():
    calls: list[str] = []
    peers = {name: lambda name=name: calls.append(name) for name in ("a", "b", "c")}
    seconds = measure(peers, repetitions=3)
    assert calls == ["a", "b", "c"] * 4
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3, "c": 3}
    assert all(time > 0 for times in seconds.values() for time in times)


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_off_meanwhile_and_then_as_before(enabled: bool):
    seen = []
    if not enabled:
        gc.disable()
    try:
        measure({"a": lambda: seen.append(gc.isenabled())}, repetitions=1)
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
    assert seen == [False, False]


def test_threads_and_garbage_collection_are_as_before_even_after_an_error():
    before = torch.get_num_threads()

    def fail() -> None:
        assert torch.get_num_threads() == before + 1
        assert not gc.isenabled()
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), torch_threads(before + 1):
        measure({"a": fail}, repetitions=1)
    assert torch.get_num_threads() == before
    assert gc.isenabled()
