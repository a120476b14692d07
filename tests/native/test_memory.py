"""Memory that is used again."""

import copy

import pytest
import torch
from torch import nn

from wider.native import _memory
from wider.sparsity import sparsify, to_native

LARGE = (_memory.SMALLEST // 4 + 1,)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(_memory, "_memory", _memory._Memory())


@pytest.mark.parametrize("shape", [(5,), (5, 7), LARGE])
def test_tensors_have_their_shape_and_start_at_a_line(shape):
    tensor = _memory.empty(shape)
    assert (tensor.shape, tensor.dtype) == (shape, torch.float32)
    assert tensor.data_ptr() % _memory.LINE == 0
    assert tensor.fill_(1).sum() == tensor.numel()


def test_memory_is_used_again_only_once_nobody_refers_to_it():
    first = _memory.empty(LARGE)
    part, address = first[:10], first.data_ptr()
    del first
    second = _memory.empty(LARGE)
    assert second.data_ptr() != address
    del part
    assert _memory.empty(LARGE).data_ptr() == address


def test_no_more_is_kept_than_was_once_in_use():
    tensors = [_memory.empty(LARGE) for _ in range(3)]
    size = tensors[0].nbytes
    del tensors
    memory = _memory._memory
    assert (memory._num_used, memory._num_free) == (0, 3 * size)
    other = _memory.empty((2 * LARGE[0],))  # does not fit beside what is kept
    assert memory._num_used == 2 * size == other.nbytes
    assert memory._num_free == size


@pytest.mark.parametrize("layer", [nn.Linear(8, 8), nn.Conv2d(4, 8, 3), nn.BatchNorm2d(4)], ids=str)
def test_layers_compute_in_float32_on_the_cpu_whatever_pytorch_makes_by_default(layer: nn.Module):
    generator = torch.Generator().manual_seed(0)
    shape = (6, 8) if isinstance(layer, nn.Linear) else (6, 4, 5, 5)
    images = torch.randn(shape, generator=generator).requires_grad_()
    if not isinstance(layer, nn.BatchNorm2d):
        sparsify(layer, num_weights=30, seed=0)
    native = to_native(copy.deepcopy(layer))
    expected = layer(images)
    expected.square().sum().backward()
    slope, images.grad = images.grad, None
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            outputs = native(images)
            outputs.square().sum().backward()
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(images.grad, slope)
