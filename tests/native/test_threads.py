"""Threads for compiled code."""

import ctypes
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from wider.bench import torch_threads
from wider.native import Job, SparseConv2d, run_shares
from wider.sparsity import to_native

KERNEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)


class Nothing(Job):
    _fields_ = (("nothing", ctypes.c_int64),)


@pytest.fixture(params=["PyTorch's team", "a pool"])
def team(request, monkeypatch, tmp_path: Path):
    if request.param == "a pool":  # as of a PyTorch that comes without GNU's OpenMP
        monkeypatch.setattr(torch, "__file__", str(tmp_path / "__init__.py"))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_share_is_done(team, threads):
    features = torch.randn(40, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch_threads(threads):
        norm = to_native(nn.BatchNorm2d(64))
        outputs = norm(features)
    torch.testing.assert_close(outputs, nn.BatchNorm2d(64)(features))


def test_shares_are_done_at_the_same_time_by_threads_of_their_own(team):
    meeting = threading.Barrier(2, timeout=30)  # one share after the other would break it
    run_shares(KERNEL(lambda *_: 0 * meeting.wait()), Nothing(), 2)


@pytest.mark.parametrize("result", [-1, 1])
def test_a_share_that_failed_is_noticed(team, result):
    task = KERNEL(lambda _, number: result if number == 1 else 0)
    with pytest.raises(MemoryError):
        run_shares(task, Nothing(), 2)


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
