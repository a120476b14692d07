"""The kernels, which were compiled when the package was installed."""

import ctypes
import sys
from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "kernels"
SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}
# From the widest vectors down, as PyTorch calls what a processor can do.
INSTRUCTION_SETS = ("AVX512", "AVX2", "DEFAULT")


def instruction_set() -> str:
    """The one with the widest vectors that this processor has kernels for."""
    found = torch.backends.cpu.get_cpu_capability()
    return found if found in INSTRUCTION_SETS else "DEFAULT"


def _load() -> ctypes.CDLL | None:
    """The library for this processor; None where none was compiled."""
    path = FOLDER / f"{instruction_set().lower()}{SUFFIXES.get(sys.platform, '.so')}"
    return ctypes.CDLL(str(path)) if path.exists() else None


NO_KERNELS = (
    "wider was installed without its kernels, since there was no C compiler. Install a wheel that "
    "has them, or a C compiler (`pip install ziglang` brings one) and then wider again"
)

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
    return f"{instruction_set()} kernels by {LIBRARY.compiler().decode()}"


class Job(ctypes.Structure):
    """What a kernel works on: a struct of the C sources, field by field."""


def pointers(*names: str) -> list[tuple[str, type]]:
    """Fields that are addresses; 0 or None where there is nothing."""
    return [(name, ctypes.c_void_p) for name in names]


def whole_numbers(*names: str) -> list[tuple[str, type]]:
    """Fields of 64 bits."""
    return [(name, ctypes.c_int64) for name in names]
