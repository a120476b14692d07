"""The command line from end to end, at scale smoke."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from wider.cli import COMMANDS, main
from wider.runs import Run, Store, train_missing


def test_run_results_and_report_of_figure_4(wider, here, tmp_path: Path, data_dir: Path):
    command = ["run", "figure-4", "--scale", "smoke", "--data-dir", data_dir]
    first = wider(*command, "--jobs", 2)
    assert first.returncode == 0, first.stderr
    assert "8 runs to train, 0 in the store already" in first.stderr
    assert "8/8" in first.stderr
    assert "left" in first.stderr
    assert "linear" in first.stdout
    assert "identity" not in first.stdout + first.stderr
    assert "runs to train" not in first.stdout

    second = here(*command)
    assert second.returncode == 0
    assert "to train" not in second.stderr  # the store had them all
    assert second.stdout == first.stdout

    as_csv = here("results", "figure-4", "--scale", "smoke", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert len(rows) == 8
    assert {row["num_weights"] for row in rows} == {"3970"}
    assert all(row["engine"] == "native" and row["torch"] for row in rows)
    as_json = json.loads(here("results", "figure-4", "--scale", "smoke", "--format", "json").stdout)
    assert [row["key"] for row in as_json] == [row["key"] for row in rows]
    assert here("results", "figure-4", "--scale", "smoke").stdout == first.stdout

    page = wider("report", "--output", "page.html", "--pictures", "pictures")
    assert page.returncode == 0
    assert (tmp_path / "page.html").exists()
    # Beside them those of the nets that nobody trains.
    assert sorted(path.name for path in (tmp_path / "pictures").glob("figure-4*")) == [
        f"{name}-smoke.{ending}"
        for name in ("figure-4-cut", "figure-4")
        for ending in ("pdf", "png", "svg")
    ]


def test_train_takes_every_field_as_a_flag_and_finds_its_run_again(wider, here, tmp_path: Path):
    flags = (
        "--data.dataset digits --data.num-validation 100 --widening.base-width 4 "
        "--widening.width 16 --widening.allocation output 0.5 --recipe.epochs 2 --seed 3"
    )
    command = ["train", *flags.split()]
    first = wider(*command)
    assert first.returncode == 0, first.stderr
    assert "296" in first.stdout
    assert "best validated epoch" in first.stdout
    (spec_file,) = tmp_path.glob("runs/*/spec.json")
    spec = json.loads(spec_file.read_text())
    assert spec["widening"]["allocation"] == {"output": 0.5}
    assert (spec["seed"], spec["recipe"]["epochs"]) == (3, 2)
    second = here(*command)
    assert second.stdout == first.stdout
    assert "to train" not in second.stderr


def test_a_diverged_run_is_recorded_and_has_its_own_exit_code(here, tmp_path: Path):
    done = here("train", "--data.dataset", "digits", "--recipe.learning-rate", "1e30")
    assert done.returncode == 3
    assert "diverged" in done.stdout
    assert "diverged in epoch 1" in done.stderr
    assert "1 of 1 run diverged: digits mlp ReLU sparse (level) width 80 seed 0." in done.stderr
    (result_file,) = tmp_path.glob("runs/*/result.json")
    assert json.loads(result_file.read_text())["result"]["status"] == "diverged"


def test_diverged_runs_of_an_experiment_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def with_one_diverged(*arguments: Any, **keywords: Any) -> list[Run]:
        first, *others = train_missing(*arguments, **keywords)
        return [
            replace(first, result=first.result.model_copy(update={"status": "diverged"})),
            *others,
        ]

    monkeypatch.setattr("wider.runs.train_missing", with_one_diverged)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "demo", "--scale", "smoke"]) == 3
    assert (
        "wider: 1 of 6 runs diverged: digits mlp ReLU dense width 4 seed 0. All of them, by "
        "status: wider results demo --scale smoke --store runs --format csv\n"
    ) in capsys.readouterr().err


def test_the_precision_is_a_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    flags = "--data.dataset digits --recipe.epochs 1 --precision bfloat16 --store"
    assert main(["train", *flags.split(), str(tmp_path)]) == 0
    (result_file,) = tmp_path.glob("*/result.json")
    result = json.loads(result_file.read_text())["result"]
    assert result["provenance"]["engine"] == "torch, masked, bfloat16"


def test_experiments_lists_names_scales_needs_and_cost(capsys: pytest.CaptureFixture[str]):
    assert main(["experiments"]) == 0
    listed = capsys.readouterr().out
    for word in ("figure-4", "smoke", "laptop", "paper", "mnist", "digits", "core time"):
        assert word in listed


HELP_AND_REFUSALS = """
import contextlib, sys
from wider.cli import COMMANDS, main

commands = [[], ["--version"], ["--help"], ["fly"], ["experiments"], ["run", "figure-99"]]
commands += [["run", "figure-4", "--scale", "huge"], ["results", "figure-1", "--scale", "none"]]
commands += [["runs", "--store", "nowhere"], ["advise"]]
commands += [[name, "--help"] for name in COMMANDS if name != "train"]
for command in commands:
    with contextlib.suppress(SystemExit):
        main(command)
    slow = {"torch", "pandas", "scipy", "altair", "datasets", "sklearn"} & set(sys.modules)
    assert not slow, (command, slow)
"""


def test_help_and_refusals_import_nothing_slow():
    done = subprocess.run(
        [sys.executable, "-c", HELP_AND_REFUSALS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_version_is_told(capfdbinary: pytest.CaptureFixture[bytes]):
    assert main(["--version"]) == 0
    assert capfdbinary.readouterr().out == f"{version('wider')}\n".encode()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "usage: wider" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("run", "MODULE:NAME for one of your own, which is found in the working folder, too."),
        ("sweep", "each in the Hugging Face layout (mnist/train.parquet); without it they are"),
        ("train", "distance of the untrained net's kernel from its infinitely wide limit is"),
    ],
)
def test_help_flows_over_the_lines_of_its_source(
    command: str,
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run figure-99", "unknown experiment 'figure-99'; use 'demo', 'figure-1'"),
        ("run figure-4 --scale huge", "no scale 'huge'; use one of: smoke, laptop, paper"),
        ("results demo", "there is no store 'runs': name one with --store"),
        ("results demo --store .", "holds no finished run: train some"),
        ("report --store .", "holds no finished run: train some with `wider run`"),
        ("train --data.dataset nothing", "nothing"),
        (
            "train --data.dataset digits --widening.allocation nowhere 0.5",
            "a layer 'nowhere' that the net does not have",
        ),
        ("train --data.dataset digits --store /proc/nowhere", "as a store"),
        ("train --data.dataset digits --recipe.epochs 1 --device cuda", "cuda"),
        ("run figure-4 --scale smoke --data-dir nowhere", "nowhere"),
        ("run figure-4 --scale smoke --jobs 0", "jobs is 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    if "cuda" in arguments:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = [line for line in captured.err.splitlines() if line.startswith("wider: ")]
    assert message in line
    assert not [path for path in tmp_path.glob("runs/*") if len(path.name) == 64]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--widening.width 2", "width 2 is below base_width 5"),
        ("--recipe.epochs 0", "greater than or equal to 1"),
        ("--data.num-train 0", "greater than or equal to 1"),
        ("--recipe.learning-rate nan", "finite number"),
    ],
)
def test_a_bad_field_of_a_spec_is_named(arguments: str, message: str, here, tmp_path: Path):
    done = here("train", "--data.dataset", "digits", *arguments.split())
    assert done.returncode == 2
    words = " ".join(done.stderr.replace("│", " ").split())
    assert message in words
    assert "https://" not in words
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("arguments", ["", "fly", "train --no-such-flag", "train --seed one"])
def test_words_that_are_no_command_are_refused(arguments: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    assert stop.value.code == 2
    assert capsys.readouterr().out == ""


def test_a_newer_store_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    (tmp_path / "store.json").write_text('{"schema_version": 99}')
    assert main(["report", "--store", str(tmp_path)]) == 2
    assert "schema version 99" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("jobs", "number", "code"), [(1, signal.SIGTERM, 143), (2, signal.SIGINT, 130)]
)
def test_interrupted_it_leaves_a_store_that_the_same_command_goes_on_from(
    jobs: int,
    number: signal.Signals,
    code: int,
    environment: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
):
    command = [sys.executable, "-m", "wider.cli", "run", "demo", "--jobs", str(jobs)]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("runs/*/result.json"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number)  # as a terminal does: to the workers too
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert output == ""
    assert "the same command goes on" in errors
    assert "Traceback" not in errors

    finished = len(list(tmp_path.glob("runs/*/result.json")))
    assert main(["results", "demo", "--store", str(tmp_path / "runs")]) == 0
    assert f"{finished} of 55 runs are there" in capfd.readouterr().err
    assert not list(tmp_path.glob("runs/*/.*"))


def test_large_images_are_prepared_and_need_a_size(
    tmp_path: Path, photos_dir: Path, capsys: pytest.CaptureFixture[str]
):
    prepared = tmp_path / "prepared"
    command = ["prepare", "photos", "--data-dir", str(photos_dir), "--output", str(prepared)]
    assert main(command) == 0
    first = capsys.readouterr()
    assert first.out == ""
    assert "train: 17 images of 2 classes" in first.err
    assert "test: 8 images of 2 classes" in first.err
    assert f"train with --data-dir {prepared}" in first.err
    assert main(command) == 0
    assert capsys.readouterr() == first  # nothing was left to do

    train = ["train", "--data-dir", str(prepared), "--data.dataset", "photos"]
    assert main([*train, "--store", str(tmp_path / "runs")]) != 0
    refused = capsys.readouterr().err
    assert "image_size" in refused
    assert "Traceback" not in refused


def test_known_runs_are_not_trained_again(here, tmp_path: Path, data_dir: Path):
    flags = ["figure-1", "--scale", "smoke", "--data-dir", data_dir]
    assert here("run", *flags).returncode == 0
    flags[-1] = tmp_path / "nowhere"
    (tmp_path / "kept").mkdir()
    whole = here("results", *flags[:3], "--format", "csv").stdout
    lines = whole.splitlines()
    (tmp_path / "kept" / "figure-1-smoke.csv").write_text("\n".join(lines[:2]) + "\n")
    other = ["--store", tmp_path / "other", "--known", tmp_path / "kept"]
    # One run is known; the others need the data, which are not there.
    missing = here("run", *flags, *other)
    assert missing.returncode == 2
    assert "is missing" in missing.stderr
    flags[-1] = data_dir
    again = here("run", *flags, *other)
    assert again.returncode == 0, again.stderr
    assert f"{len(lines) - 2} runs to train, 0 in the store already" in again.stderr
    merged = here("results", *flags[:3], *other, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(merged)))
    assert [row["key"] for row in rows] == [
        row["key"] for row in csv.DictReader(io.StringIO(whole))
    ]


def test_known_runs_alone_are_results_too(here, tmp_path: Path):
    results = Path(__file__).parents[2] / "results"
    shown = here("results", "figure-7", "--scale", "paper", "--known", results)
    assert shown.returncode == 0, shown.stderr
    assert "dense" in shown.stdout


def test_a_part_of_the_datasets_can_be_asked_for(here, data_dir: Path):
    flags = ["--scale", "smoke", "--data-dir", data_dir]
    done = here("run", "figure-1", *flags, "--datasets", "cifar10")
    assert done.returncode == 0, done.stderr
    wrong = here("run", "figure-1", *flags, "--datasets", "cifar100")
    assert wrong.returncode == 2
    assert "figure-1 at scale smoke has no dataset cifar100; it has: cifar10" in wrong.stderr


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("a.gif", "use a name that ends in .png, .svg, .pdf or .html"),
        ("nowhere/a.png", "there is no folder 'nowhere'; make it first"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_trained(
    picture: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    flags = ["--store", str(tmp_path / "store"), "--picture", picture]
    assert main(["run", "demo", "--scale", "smoke", *flags]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("store/*/result.json"))


def test_a_store_without_a_finished_run_adds_nothing_to_known_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    Store(tmp_path / "empty")
    results = Path(__file__).parents[2] / "results"
    flags = ["--store", str(tmp_path / "empty"), "--known", str(results), "--format", "csv"]
    assert main(["results", "figure-1", "--scale", "gpu", *flags]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    kept = list(csv.DictReader(io.StringIO((results / "figure-1-gpu.csv").read_text())))
    assert [row["key"] for row in rows] == [row["key"] for row in kept]
