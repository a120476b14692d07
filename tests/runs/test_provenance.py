import platform
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import psutil
import pytest
import torch

from wider.runs import provenance


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Runs git in a folder that stands for the one this code lies in."""
    folder = tmp_path / "code" / "runs"
    folder.mkdir(parents=True)
    (folder / "file.py").write_text("one")
    # Set where git runs a hook, and where the source is a copy.
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "WIDER_COMMIT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setattr(provenance, "__file__", str(folder / "file.py"))
    identity = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]

    def git(*arguments):
        command = ["git", *identity, "-C", str(folder.parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return git


def commit():
    return provenance.commit.__wrapped__()


def test_outside_a_repository_there_is_no_commit(git):
    assert commit() is None


def test_the_commit_of_a_repository_and_whether_something_changed(git, tmp_path):
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    revision = git("rev-parse", "HEAD")
    assert len(revision) == 40
    assert commit() == revision
    (tmp_path / "code" / "runs" / "file.py").write_text("two")
    assert commit() == f"{revision}+changes"


def test_a_repository_that_does_not_track_this_code_is_not_its_own(git, tmp_path):
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert commit() is None


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit() is None


def test_a_copy_of_the_source_is_told_its_commit(git, monkeypatch):
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "another repository's")
    monkeypatch.setenv("WIDER_COMMIT", "a" * 40)
    assert commit() == "a" * 40


def test_versions():
    assert provenance.versions() == {
        "python": platform.python_version(),
        "wider": version("wider"),  # as installed; ours is in the source
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def test_the_machine_has_a_name_and_its_cores():
    name = provenance.machine(torch.device("cpu"))
    assert name.endswith(f" {psutil.cpu_count()} cores")
    assert not name.startswith(",")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no resource module")
def test_peak_memory_is_in_bytes_and_no_less_than_what_is_in_use():
    used = psutil.Process().memory_info().rss
    peak = provenance.peak_memory(torch.device("cpu"))
    # The system's counter may lag by some pages; a mistaken unit would be a factor of 1024.
    assert 0.99 * used <= peak <= 100 * used
