"""What the system refuses is one line and exit code 2, and leaves nothing torn."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from wider.bench import SUITES, mlp
from wider.cli import COMMANDS, _main, main
from wider.runs import Store

STUDY = """
data.dataset = "digits"
recipe.epochs = 1
widening.base_width = 4
[grid]
widening.width = [4, 8]
seed = [0]
"""
TRAIN = "train --data.dataset digits --recipe.epochs 1"
WRITING = {
    "train": TRAIN,
    "run": "run demo --scale smoke --picture demo.svg",
    "sweep": "sweep study.toml",
    "report": "report --store filled --output page.html",
    "advise": "advise --dataset digits --base-width 4 --widths 4 8 --picture curve.png",
    "prepare": "prepare photos --output prepared --data-dir PHOTOS",
    "bench": "bench mlp-step --repetitions 1 --output measured",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIDER_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


@contextmanager
def full_disk(call: str, after: int, code: int = errno.ENOSPC) -> Iterator[None]:
    """A disk that refuses all but the first few calls."""
    before, count = getattr(os, call), 0

    def refuse(*arguments: object, **keywords: object) -> object:
        nonlocal count
        count += 1
        if count > after:
            raise OSError(code, os.strerror(code))
        return before(*arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, refuse)
        yield


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    errors = capfd.readouterr().err
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if line.startswith("wider: ")]
    return line


def unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".partial")]


@pytest.mark.parametrize("command", WRITING)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk(
    call: str,
    command: str,
    folder: Path,
    photos_dir: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(SUITES, "mlp-step", mlp.step_suite(widths=(5,), num_images=100))
    page = ""
    if command == "report":
        assert main(f"{TRAIN} --store filled".split()) == 0
        assert main(WRITING["report"].split()) == 0
        page = (folder / "page.html").read_text()
    arguments = WRITING[command].replace("PHOTOS", str(photos_dir)).split()
    # Of a run each file by itself; the others write files of one kind.
    for after in range(4) if command == "train" else (0,):
        capfd.readouterr()
        with full_disk(call, after):
            code = main(arguments)
        assert code == 2
        assert "No space left on device" in one_line(capfd)
        assert not unfinished(folder)
        if command == "report":
            assert (folder / "page.html").read_text() == page
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "make room there"),
        (errno.EDQUOT, "make room there"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "where you may read and write"),
        (errno.EIO, "mend it; the same command then goes on"),
    ],
)
def test_the_line_names_the_file_and_the_remedy(
    code: int, remedy: str, capfd: pytest.CaptureFixture[str]
):
    Store(Path("runs")).ensure_writable()
    with full_disk("replace", 2, code):
        assert main(TRAIN.split()) == 2
    line = one_line(capfd)
    assert "model.safetensors'" in line
    assert os.strerror(code) in line
    assert remedy in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("report --store filled --output .", "Is a directory"),
        ("report --store filled --output /", "Is a directory"),
        ("report --store filled --output study.toml/page.html", "No such file or directory"),
        (f"report --store filled --output {'x' * 300}", "File name too long"),
        ("report --store filled --pictures study.toml", "'study.toml': File exists"),
        (f"{TRAIN} --store study.toml", "cannot use 'study.toml' as a store"),
        (f"{TRAIN} --store {'x' * 300}", "File name too long"),
        (f"{TRAIN} --data-dir {'x' * 300} --data.dataset own", "x"),
        (f"train --data.dataset {'x' * 300} --data-dir .", "x"),
        ("results demo --store study.toml", "study.toml"),
        ("results demo --known study.toml --scale smoke", "study.toml"),
        ("sweep .", "'.' is no file"),
        ("sweep /dev/zero", "'/dev/zero' is no file"),
    ],
)
def test_wrong_paths(arguments: str, message: str, capfd: pytest.CaptureFixture[str]):
    if "filled" in arguments:
        assert main(f"{TRAIN} --store filled".split()) == 0
        capfd.readouterr()
    assert main(arguments.split()) == 2
    assert message in one_line(capfd)


def test_a_page_can_go_to_a_pipe(folder: Path):
    assert main(f"{TRAIN} --store filled".split()) == 0
    assert main(["report", "--store", "filled", "--output", "/dev/null"]) == 0
    assert Path("/dev/null").is_char_device()
    assert main(["report", "--store", "filled", "--output", "page.html"]) == 0
    (folder / "page.html").write_text((folder / "page.html").read_text()[:500])
    (folder / "link.html").symlink_to("page.html")
    assert main(["report", "--store", "filled", "--output", "link.html"]) == 0
    assert (folder / "link.html").is_symlink()
    assert (folder / "page.html").read_text(encoding="utf-8").endswith("</html>")


@pytest.mark.parametrize("target", ["link.html", "page.html", "nowhere/page.html"])
def test_nothing_is_made_where_a_link_leads(
    target: str, folder: Path, capfd: pytest.CaptureFixture[str]
):
    assert main(f"{TRAIN} --store filled".split()) == 0
    capfd.readouterr()
    (folder / "link.html").symlink_to(target)
    assert main(["report", "--store", "filled", "--output", "link.html"]) == 2
    assert "cannot write 'link.html' (it is a link that leads nowhere)" in one_line(capfd)
    assert not (folder / "page.html").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        f"{TRAIN} --store caf\udce9",
        f"{TRAIN} --data-dir caf\udce9",
        "report --output caf\udce9",
        "sweep caf\udce9.toml",
        "prepare photos --output caf\udce9",
    ],
)
def test_a_path_that_is_not_utf_8_is_refused_first(
    arguments: str, folder: Path, capfd: pytest.CaptureFixture[str]
):
    before = sorted(folder.rglob("*"))
    assert main(arguments.split()) == 2
    assert r"\udce9" in one_line(capfd)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "not enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "not enough memory",
        ),
    ],
)
def test_memory(
    error: Exception,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("wider.runs.train_missing", fail)
    assert main(TRAIN.split()) == 2
    assert words in one_line(capfd)


def test_another_error_is_a_bug(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("wider.runs.train_missing", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(TRAIN.split())


def test_a_limit_on_files_reaches_workers(
    wider: Callable[..., subprocess.CompletedProcess[str]], environment: dict[str, str],
    folder: Path,
):  # fmt: skip
    limited = (
        "import resource, sys; from wider.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, *["run", "demo", "--scale", "smoke", "--jobs", "2"]]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("wider: ")]
    assert "File too large" in line
    assert "Traceback" not in done.stderr
    assert not unfinished(folder)
    assert main(["run", "demo", "--scale", "smoke"]) == 0


@pytest.mark.parametrize("kind", ["table", "csv"])
def test_a_reader_that_has_gone(kind: str, environment: dict[str, str], folder: Path):
    run = ["demo", "--scale", "smoke"]
    assert main(["run", *run]) == 0
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "wider.cli", "results", *run, "--format", kind],
        cwd=folder,
        env=environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_output_to_a_full_disk(environment: dict[str, str], folder: Path):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "wider.cli", "--help"],
            cwd=folder,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("wider: No space left on device: make room there")


def test_an_interrupt_of_which_a_library_made_an_error_is_one(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    def broken_off() -> None:
        raise RuntimeError("error calling a function: KeyboardInterrupt: 15")

    monkeypatch.setitem(COMMANDS, "runs", broken_off)
    monkeypatch.setattr(_main, "HEARD", [15])
    assert main(["runs"]) == 143
    assert "interrupted; the same command goes on" in capfd.readouterr().err
