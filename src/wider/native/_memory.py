"""Tensors for results, in memory that is used again.

Fresh memory costs a page fault every 4 kB, and the C library maps large blocks afresh each time:
for the feature maps of a convolutional net that is a third of a training step. So the memory of a
result that nobody refers to any longer is kept for the next one of its size.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

LINE = 64  # bytes of a line of the cache: a vector that starts at one is in no other
SMALLEST = 1 << 20  # bytes; the C library keeps smaller blocks by itself


class _Memory:
    """Counts what is in use and keeps what is free, never more in sum than was once in use."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a collection of garbage may free a block in `take`
        self._free: OrderedDict[int, list[NDArray[np.uint8]]] = OrderedDict()
        self._num_used = self._num_free = self._most_used = 0

    def take(self, size: int) -> NDArray[np.uint8]:
        with self._lock:
            if self._free.get(size):
                block = self._free[size].pop()
                self._free.move_to_end(size)
                self._num_free -= size
            else:
                block = np.empty(size + LINE, np.uint8)
            self._num_used += size
            self._most_used = max(self._most_used, self._num_used)
            self._shrink()
        return block

    def give_back(self, block: NDArray[np.uint8], size: int) -> None:
        with self._lock:
            self._free.setdefault(size, []).append(block)
            self._num_used -= size
            self._num_free += size
            self._shrink()

    def _shrink(self) -> None:
        """Drops the sizes that were not asked for longest."""
        while self._num_used + self._num_free > self._most_used:
            size, blocks = next(iter(self._free.items()))
            if blocks:
                blocks.pop()
                self._num_free -= size
            if not blocks:
                del self._free[size]


_memory = _Memory()


class _Borrowed:
    """What an array's memory belongs to; gives it back when the last array on it is gone."""

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        # At the end of the interpreter the names of this module are gone before its objects.
        self._memory, self._size = _memory, size
        self._block = _memory.take(size)
        start = self._block.ctypes.data
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": "<f4",
            "data": (start + -start % LINE, False),
        }

    def __del__(self) -> None:
        self._memory.give_back(self._block, self._size)


def empty(shape: Sequence[int]) -> Float[Tensor, "..."]:
    """A tensor of 32-bit floats, not initialised, that starts at a line of the cache."""
    size = 4 * math.prod(shape)
    if size < SMALLEST:
        return torch.empty(shape, dtype=torch.float32, device="cpu")  # PyTorch's own start there
    return torch.from_numpy(np.asarray(_Borrowed(size, tuple(shape))))


def zeros(shape: Sequence[int]) -> Float[Tensor, "..."]:
    """The same, of zeros; both whatever type and device PyTorch has been told to use by default."""
    return torch.zeros(shape, dtype=torch.float32, device="cpu")
