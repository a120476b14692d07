"""The command line as a user calls it, in a process of its own or, sooner, in this one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wider.cli import main


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The user's environment, with a cache of the test's own and two quiet threads fewer."""
    return {
        **os.environ,
        "WIDER_CACHE_DIR": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }


@pytest.fixture
def wider(
    tmp_path: Path, environment: dict[str, str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls `wider` in `tmp_path` and returns what it printed and its exit code."""

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wider.cli", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return call


@pytest.fixture
def here(
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The same in this process, which need not import everything first."""
    monkeypatch.chdir(tmp_path)
    for name in ("WIDER_CACHE_DIR", "NO_COLOR", "COLUMNS"):
        monkeypatch.setenv(name, environment[name])

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = list(map(str, arguments))
        capfd.readouterr()
        try:
            code = main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capfd.readouterr()
        return subprocess.CompletedProcess(words, code, told.out, told.err)

    return call
