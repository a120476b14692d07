"""The kernels, which were compiled when the package was installed: threads and memory for them."""

import ctypes
import math
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

FOLDER = Path(__file__).parent / "kernels"
SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}
# From the widest vectors down, as PyTorch calls what a processor can do.
INSTRUCTION_SETS = ("AVX512", "AVX2", "DEFAULT")
NO_KERNELS = (
    "wider was installed without its kernels, since there was no C compiler. Install a wheel that "
    "has them, or a C compiler (`pip install ziglang` brings one) and then wider again"
)
NOT_RUN, DONE = -1, 0  # what a share of a job says
LINE = 64  # bytes of a line of the cache: a vector that starts at one is in no other
SMALLEST = 1 << 20  # bytes; the C library keeps smaller blocks by itself


def _instruction_set() -> str:
    """The one with the widest vectors that this processor has kernels for."""
    found = torch.backends.cpu.get_cpu_capability()
    return found if found in INSTRUCTION_SETS else "DEFAULT"


def _load() -> ctypes.CDLL | None:
    """The library for this processor; None where none was compiled."""
    path = FOLDER / f"{_instruction_set().lower()}{SUFFIXES.get(sys.platform, '.so')}"
    return ctypes.CDLL(str(path)) if path.exists() else None


LIBRARY = _load()
LANES: int = LIBRARY.lanes() if LIBRARY else 1
"""Numbers in a vector."""
MOST_SUMS: int = LIBRARY.most_sums() if LIBRARY else 1
"""Vectors in a tile of a pass that reads each number for one sum."""
MOST_PAIRS: int = LIBRARY.most_pairs() if LIBRARY else 1
"""Vectors in a tile of a pass that reads each number for two sums."""


def is_available() -> bool:
    """Whether kernels were compiled when the package was installed."""
    return LIBRARY is not None


def library() -> ctypes.CDLL:
    """The kernels, where there are any."""
    assert LIBRARY is not None
    return LIBRARY


def compiled_kernels() -> str:
    """What the kernels are compiled for, and by what."""
    if LIBRARY is None:
        return "none"
    LIBRARY.compiler.restype = ctypes.c_char_p
    return f"{_instruction_set()} kernels by {LIBRARY.compiler().decode()}"


class Job(ctypes.Structure):
    """What a kernel works on: a struct of the C sources, field by field."""


def pointers(*names: str) -> list[tuple[str, type]]:
    """Fields that are addresses; 0 or None where there is nothing."""
    return [(name, ctypes.c_void_p) for name in names]


def whole_numbers(*names: str) -> list[tuple[str, type]]:
    """Fields of 64 bits."""
    return [(name, ctypes.c_int64) for name in names]


def address(tensor: Tensor | None) -> int:
    """Of a tensor's numbers; 0 where there is none."""
    return 0 if tensor is None else tensor.data_ptr()


@cache
def kernel_named(name: str) -> Callable[[int, int], int]:
    """A function of the library, of a job's address and the number of a share."""
    function = getattr(library(), name)
    function.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    function.restype = ctypes.c_int
    return function


class _Team(Job):
    _fields_ = (
        *pointers("task", "job"),
        *whole_numbers("count"),
        *pointers("own_number", "team_size", "results"),
    )


def run_shares(task: Callable[[int, int], int], job: Job, count: int) -> None:
    """Has a kernel do all shares of a job, each on a thread of its own, and waits for all.

    The threads are PyTorch's own where it can lend them.

    Args:
        task: the kernel, a function of ctypes: of the job's address and the number of a share. It
            returns 0 where there was enough memory.
        job: that it takes; says itself that there are so many shares.
        count: how many shares; `torch.get_num_threads()` says how many the user wants at most.

    Raises:
        MemoryError: there was not enough.
    """
    place = ctypes.addressof(job)
    if count == 1:
        results = (task(place, 0),)
    elif (team := _team_in(Path(torch.__file__).parent / "lib")) is None:
        results = list(_pool(count).map(lambda number: task(place, number), range(count)))
    else:
        results = _on_team(team, task, place, count)
    if set(results) != {DONE}:
        raise MemoryError("not enough memory for the scratch of a kernel")


def _on_team(team: ctypes.CDLL, task: Any, job: int, count: int) -> list[int]:
    results = (ctypes.c_int * count)(*[NOT_RUN] * count)
    given = _Team(
        _address_of(task),
        job,
        count,
        _address_of(team.omp_get_thread_num),
        _address_of(team.omp_get_num_threads),
        ctypes.addressof(results),
    )
    flags = 0
    team.GOMP_parallel(_address_of(library().run_on_team), ctypes.byref(given), count, flags)
    return list(results)


def _address_of(function: Any) -> ctypes.c_void_p:
    return ctypes.cast(function, ctypes.c_void_p)


@cache
def _team_in(folder: Path) -> ctypes.CDLL | None:
    """The OpenMP library that PyTorch computes with, where it comes with one of GNU's interface.

    Its threads keep spinning for a while after each of PyTorch's operations, so that threads of
    anyone else would have to wait for a processor.
    """
    for path in sorted(folder.glob("libgomp*.so*")):
        return ctypes.CDLL(str(path))
    return None


@cache
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="wider")


def empty(shape: Sequence[int]) -> Float[Tensor, "..."]:
    """A tensor of 32-bit floats, not initialised, that starts at a line of the cache.

    Fresh memory costs a page fault every 4 kB, and the C library maps large blocks afresh each
    time: for the feature maps of a convolutional net that is a third of a training step. So the
    memory of a result that nobody refers to any longer is kept for the next one of its size.
    """
    size = 4 * math.prod(shape)
    if size < SMALLEST:
        return torch.empty(shape, dtype=torch.float32, device="cpu")  # PyTorch's own start there
    return torch.from_numpy(np.asarray(_Borrowed(size, tuple(shape))))


def zeros(shape: Sequence[int]) -> Float[Tensor, "..."]:
    """The same, of zeros; both whatever type and device PyTorch has been told to use by default."""
    return torch.zeros(shape, dtype=torch.float32, device="cpu")


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
