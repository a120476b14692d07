"""Facts about this machine and this code."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from wider.version import __version__

try:
    import resource
except ImportError:  # on Windows
    resource = None

PACKAGES = ("torch", "numpy")
COMMIT = "WIDER_COMMIT"  # names the commit of a copy of the source that is not in its repository


@cache
def commit() -> str | None:
    """The commit of this code: what the environment variable WIDER_COMMIT says, where it is set.

    Otherwise that of the repository that the code runs from, or None outside one.
    """
    return os.environ.get(COMMIT) or _commit_of_repository()


def _commit_of_repository() -> str | None:
    folder = Path(__file__).parent
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        tracked = _git(folder, "ls-files", Path(__file__).name)
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no", str(folder.parent))
    except (OSError, subprocess.CalledProcessError):
        return None
    if not tracked:  # installed into an environment that lies inside someone's repository
        return None
    return revision + ("+changes" if changes else "")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute."""
    packages = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "wider": __version__, **packages}


def machine(device: torch.device) -> str:
    """The processor and its number of cores, and the GPU where one is used."""
    processor = f"{_processor()}, {os.cpu_count()} cores"
    if device.type != "cuda":
        return processor
    return f"{torch.cuda.get_device_name(device)}; {processor}"


def peak_memory(device: torch.device) -> int:
    """The most memory used so far, in bytes: of the GPU where one is used, else of the process; 0
    where the system does not tell (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts kibibytes


@cache
def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, check=True, capture_output=True)
    return os.fsdecode(done.stdout).strip()
