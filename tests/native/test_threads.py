"""Threads for compiled code."""

import threading

import pytest
import torch

from wider.bench import torch_threads
from wider.native import SparseConv2d, _threads
from wider.native._threads import in_parallel, parts


@pytest.fixture(params=["PyTorch's team", "a pool"])
def team(request, monkeypatch):
    if request.param == "a pool":
        monkeypatch.setattr(_threads, "_torch_team", lambda: None)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_number_is_called_once(team, count):
    seen = []
    in_parallel(seen.append, count)
    assert sorted(seen) == list(range(count))


def test_tasks_run_at_the_same_time(team):
    meeting = threading.Barrier(2, timeout=30)
    in_parallel(lambda _: meeting.wait(), 2)  # one after the other would break the barrier


def test_an_error_reaches_the_caller_after_all_tasks_ended(team):
    seen = []

    def task(number: int) -> None:
        seen.append(number)
        if number == 1:
            raise ValueError("one")

    with pytest.raises(ValueError, match="one"):
        in_parallel(task, 3)
    assert sorted(seen) == [0, 1, 2]


def test_a_task_that_never_began_is_noticed(monkeypatch):
    monkeypatch.setattr(_threads, "_share", lambda *_: None)
    monkeypatch.setattr(_threads, "_pool", lambda _: _NoPool())
    with pytest.raises(KeyboardInterrupt):
        in_parallel(lambda _: None, 2)


class _NoPool:
    def map(self, *_):
        return ()


def test_parts_cover_everything_in_order():
    assert parts(7, 3) == [range(2), range(2, 4), range(4, 7)]
    assert parts(2, 2) == [range(1), range(1, 2)]


@pytest.mark.parametrize("count", [16, 35, 100])
def test_a_convolution_on_several_threads_is_that_on_one(count):
    layer = SparseConv2d(torch.randn(5, 4, 3, 3), torch.rand(5, 4, 3, 3) < 0.5, None)
    images, direction = torch.randn(count, 4, 9, 7), torch.randn(count, 5, 7, 5)
    outcomes = []
    for threads in (1, 3):
        with torch_threads(threads):
            copy = images.clone().requires_grad_()
            outputs = layer(copy)
            (gradient,) = torch.autograd.grad(outputs, layer.values, direction, retain_graph=True)
            (image_gradient,) = torch.autograd.grad(outputs, copy, direction)
            outcomes.append((outputs, gradient, image_gradient))
    for one, several in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, several, rtol=1e-5, atol=1e-4)
