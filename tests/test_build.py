"""What happens when the package is built: kernels of each instruction set, any compiler or none."""

import ctypes
import importlib.util
import os
import platform
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wider.native import compiled_kernels, is_available

ROOT = Path(__file__).parents[1]
KERNEL_TESTS = [f"tests/native/test_{name}.py" for name in ("columns", "layers", "linear", "norm")]

pytest.importorskip("hatchling")
spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
assert spec is not None
assert spec.loader is not None
hatch_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hatch_build)

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler"
)
needs_x86 = pytest.mark.skipif(
    platform.machine().lower() not in hatch_build.X86_MACHINES, reason="instruction sets of x86"
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A project with the kernels' sources, uncompiled."""
    folder = tmp_path / hatch_build.KERNELS
    folder.mkdir(parents=True)
    for path in (ROOT / hatch_build.KERNELS).glob("*.[ch]"):
        shutil.copy(path, folder)
    return folder


def hook(root: Path) -> Any:
    messages: list[str] = []

    class App:
        display_warning = messages.append

    made = hatch_build.PackageHook(str(root), {}, None, None, str(root), "wheel", app=App())
    made.messages = messages
    return made


def build_data() -> dict:
    return {"artifacts": [], "force_include": {}, "pure_python": True}


@needs_compiler
def test_the_wheel_has_kernels_and_names_the_platform_but_no_python(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(hatch_build, "X86", {"default": []})  # the others take a while
    data = build_data()
    hook(tmp_path).initialize("standard", data)
    assert data["pure_python"] is False
    assert data["tag"].startswith("py3-none-")
    assert data["tag"] != "py3-none-any"
    (pattern,) = data["artifacts"]
    built = sorted(path.stem for path in tmp_path.glob(pattern))
    assert "default" in built
    assert not list(sources.glob("*.unfinished"))
    own = ctypes.CDLL(str(sources / f"default{hatch_build._suffix()}"))
    assert own.lanes() == 4


@pytest.mark.parametrize("version", ["standard", "editable"])
def test_the_wheel_has_the_committed_runs(tmp_path, monkeypatch, version):
    monkeypatch.setattr(hatch_build, "_compilers", lambda: iter(()))
    results = tmp_path / "results"
    results.mkdir()
    for name in ("figure-4-paper.csv", "demo-laptop.csv", "figure-4-paper.png", "bench-linear.csv"):
        (results / name).touch()
    data = build_data()
    hook(tmp_path).initialize(version, data)
    names = ["figure-4-paper.csv", "demo-laptop.csv"] if version == "standard" else []
    assert data["force_include"] == {str(results / name): f"wider/results/{name}" for name in names}


def test_without_a_compiler_the_build_asks_for_one_that_is_a_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert hook(tmp_path).dependencies() == ["ziglang"]
    monkeypatch.setenv("CC", "some-compiler --with options")
    assert hook(tmp_path).dependencies() == []
    assert next(hatch_build._compilers()) == ["some-compiler", "--with", "options"]


def test_where_nothing_compiles_the_package_is_built_without_kernels_and_says_so(
    sources, monkeypatch, tmp_path
):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no such option >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("CC", str(broken))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(hatch_build, "find_spec", lambda _: None)
    old = sources / f"default{hatch_build._suffix()}"
    old.write_text("of other sources")
    made, data = hook(tmp_path), build_data()
    made.initialize("standard", data)
    assert data == build_data()
    assert not old.exists()
    assert "no such option" in made.messages[0]
    assert "as slow as masked ones" in made.messages[1]


@pytest.mark.skipif(not is_available(), reason="no kernels")
@needs_x86
@pytest.mark.parametrize("name", ["DEFAULT", "AVX2"])
def test_layers_compute_the_same_with_every_instruction_set(name: str):
    sets = ("AVX512", "AVX2", "DEFAULT")  # from the widest vectors down
    own = compiled_kernels().split()[0]
    if sets.index(name) <= sets.index(own):
        pytest.skip(f"this processor computes with {own}")
    _run_kernel_tests({"ATEN_CPU_CAPABILITY": name.lower()})


@needs_compiler
@needs_x86
def test_layers_compute_the_same_in_vectors_of_16_numbers(tmp_path: Path):
    """On any processor: the compiler splits the vectors that it has no registers for."""
    package = tmp_path / "wider"
    shutil.copytree(ROOT / "src/wider", package, ignore=shutil.ignore_patterns("*.so", "*.dylib"))
    flags = ["-DLANES=16", "-DREGISTERS=32", "-Wno-psabi"]
    compiler = next(hatch_build._compilers())
    folder = package / "native/kernels"
    problem = hatch_build.compile_kernels([*compiler, *flags], folder, {"default": []})
    assert not problem
    _run_kernel_tests({"PYTHONPATH": str(tmp_path), "ATEN_CPU_CAPABILITY": "default"})


def _run_kernel_tests(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *KERNEL_TESTS]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_package_without_kernels_has_none_and_imports(tmp_path: Path):
    package = tmp_path / "wider"
    shutil.copytree(ROOT / "src/wider", package, ignore=shutil.ignore_patterns("*.so", "*.dylib"))
    script = (
        "import torch, warnings, wider, wider.cli, wider.training, wider.native as n;"
        "assert not n.is_available() and n.compiled_kernels() == 'none';"
        "net = wider.to_native(wider.sparsify(torch.nn.Linear(99, 99), num_weights=99));"
        "warnings.simplefilter('ignore', n.SlowLayerWarning);"
        "net(torch.zeros(3, 99)).sum().backward()"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", script]
    subprocess.run(command, env=environment, check=True, cwd=tmp_path)
