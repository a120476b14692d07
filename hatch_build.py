"""Compiles the native kernels when the package is built, and puts the committed runs beside it.

Once for each instruction set, into libraries of plain C functions that Python loads by itself: they
depend on no version of Python or PyTorch. Where no compiler is found, the build asks for one that
comes as a package (Zig's); where that fails, too, the package is built without kernels, and native
layers compute through their dense weights and say so.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

KERNELS = Path("src/wider/native/kernels")
RUNS = [f"results/*-{scale}.csv" for scale in ("laptop", "gpu", "paper")]
X86_MACHINES = ("x86_64", "amd64")
# As PyTorch calls what a processor can do: torch.backends.cpu.get_cpu_capability().
X86 = {
    "avx512": ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"],
    "avx2": ["-mavx2", "-mfma"],
    "default": [],
}
OPTIONS = ["-std=c11", "-O2", "-ffp-contract=fast", "-fvisibility=hidden", "-shared"]
SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}
ZIG = [sys.executable, "-m", "ziglang", "cc"]


class PackageHook(BuildHookInterface):
    """Puts the compiled kernels and the committed runs into the wheel.

    Of an editable install the kernels lie beside the sources, and the runs stay where they are.
    """

    def dependencies(self) -> list[str]:
        """A compiler, where the system has none."""
        return [] if next(_system_compilers(), None) else ["ziglang"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles, and names the platform in the wheel if that went well."""
        if version == "standard":
            found = [path for pattern in RUNS for path in Path(self.root).glob(pattern)]
            names = {str(path): f"wider/results/{path.name}" for path in found}
            build_data["force_include"] |= names
        folder = Path(self.root) / KERNELS
        for old in folder.glob(f"*{_suffix()}"):
            old.unlink()
        for compiler in _compilers():
            problem = compile_kernels(compiler, folder)
            if not problem:
                build_data["artifacts"].append(f"{KERNELS.as_posix()}/*{_suffix()}")
                build_data["pure_python"] = False
                build_data["tag"] = f"py3-none-{next(platform_tags())}"
                return
            self.app.display_warning(
                f"{shlex.join(compiler)} cannot compile the kernels: {problem}"
            )
        self.app.display_warning("no C compiler: native layers will be as slow as masked ones")


def compile_kernels(
    compiler: list[str], folder: Path, sets: Mapping[str, list[str]] | None = None
) -> str:
    """Compiles the kernels beside their sources.

    Args:
        compiler: the command.
        folder: of the sources.
        sets: options of each instruction set, by name; if None, all that this machine may have.

    Returns:
        What went wrong; empty if nothing did.
    """
    if sets is None:
        sets = X86 if platform.machine().lower() in X86_MACHINES else {"default": []}
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(_compile, compiler, folder, *each) for each in sets.items()]
    return next((problem for job in jobs if (problem := job.result())), "")


def _compile(compiler: list[str], folder: Path, name: str, flags: list[str]) -> str:
    sources = [str(path) for path in sorted(folder.glob("*.c"))]
    own = [] if sys.platform == "win32" else ["-fPIC", "-pthread"]
    library = folder / f"{name}{_suffix()}"
    unfinished = library.with_suffix(".unfinished")  # a process may have the old one loaded
    command = [*compiler, *OPTIONS, *own, *flags, *sources, "-lm", "-o", str(unfinished)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        unfinished.unlink(missing_ok=True)
        return str(getattr(error, "stderr", None) or error)
    unfinished.replace(library)
    return ""


def _compilers() -> Iterator[list[str]]:
    yield from _system_compilers()
    if find_spec("ziglang"):
        yield ZIG


def _system_compilers() -> Iterator[list[str]]:
    """Commands that may be GCC or Clang, whose vector extensions the kernels are written in."""
    if command := os.environ.get("CC"):
        yield shlex.split(command)
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            yield [name]


def _suffix() -> str:
    return SUFFIXES.get(sys.platform, ".so")
