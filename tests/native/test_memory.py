"""Memory that is used again."""

import numpy as np
import pytest
import torch

from wider.native import _memory

LARGE = (_memory.SMALLEST // 4 + 1,)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(_memory, "_memory", _memory._Memory())


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(5,), (5, 7), LARGE])
def test_arrays_have_their_shape_and_start_at_a_line(shape):
    array = _memory.empty(shape)
    assert array.shape == shape
    assert array.dtype == np.float32
    assert _address(array) % _memory.LINE == 0
    array[...] = 1
    assert array.sum() == array.size


def test_zeros_are_zeros_at_the_start_of_a_line():
    array = _memory.zeros(1001)
    assert array.shape == (1001,)
    assert not array.any()
    assert _address(array) % _memory.LINE == 0


def test_memory_is_used_again_only_once_nobody_refers_to_it():
    first = _memory.empty(LARGE)
    tensor, address = torch.from_numpy(first)[:10], _address(first)
    del first
    second = _memory.empty(LARGE)
    assert _address(second) != address
    del tensor
    assert _address(_memory.empty(LARGE)) == address


def test_no_more_is_kept_than_was_once_in_use():
    arrays = [_memory.empty(LARGE) for _ in range(3)]
    size = arrays[0].nbytes
    del arrays
    memory = _memory._memory
    assert (memory._num_used, memory._num_free) == (0, 3 * size)
    other = _memory.empty((2 * LARGE[0],))  # does not fit beside what is kept
    assert memory._num_used == 2 * size == other.nbytes
    assert memory._num_free == size
