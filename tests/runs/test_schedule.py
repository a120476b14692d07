"""Many runs: what is there is left, what is missing is trained once, and someone is told."""

import shutil
import threading
import time
from contextlib import nullcontext
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from wider.errors import InputError
from wider.runs import DamagedRun, Digests, RunSpec, Store, Widening, execute, train_missing
from wider.training import Processes


@pytest.fixture
def console():
    return Console(file=StringIO())


def written(console):
    return console.file.getvalue()


@pytest.fixture
def trained(monkeypatch):
    """Notes (seed, epoch) of each epoch that is trained in this process."""
    from wider.training import Engine

    seen, run_epoch = [], Engine.run_epoch

    def noting(self, *arguments):
        row = run_epoch(self, *arguments)
        seen.append((self._seed, row.epoch))
        return row

    monkeypatch.setattr(Engine, "run_epoch", noting)
    return seen


def all_epochs(*seeds):
    return [(seed, epoch) for seed in seeds for epoch in (1, 2, 3)]


def test_runs_come_in_the_order_of_the_specs_and_twins_are_trained_once(
    store, make_spec, console, trained
):
    specs = [make_spec(seed=seed) for seed in (2, 0, 2, 1, 0)]
    runs = train_missing(specs, store, console=console)
    assert [run.spec for run in runs] == specs
    assert runs[0] == runs[2]
    assert trained == all_epochs(2, 0, 1)  # the most urgent first


def test_only_what_is_missing_is_trained(filled, make_spec, console, trained):
    specs = [make_spec(seed=seed) for seed in (1, 0)]
    runs = train_missing(specs, filled, console=console)
    assert [run.spec for run in runs] == specs
    assert trained == all_epochs(1)
    assert "1 runs to train, 1 in the store already" in written(console)


@pytest.mark.usefixtures("no_training")
def test_where_all_is_there_nothing_is_done_or_said(filled, finished, spec, console):
    assert train_missing([spec, spec], filled, console=console) == [finished[1]] * 2
    assert train_missing([], filled, console=console) == []
    assert written(console) == ""


def test_an_interrupted_run_is_gone_on_with(store, console, finished, numbers, trained):
    spec = finished[1].spec

    def interrupt(row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(spec, store, checkpoint_seconds=0, on_epoch=interrupt)
    (run,) = train_missing([spec], store, console=console)
    assert trained == all_epochs(0)
    assert numbers(store, run) == numbers(*finished)


def test_two_workers_give_the_numbers_of_one(tmp_path, make_spec, console, numbers):
    # Bit for bit: tests and workers compute on one thread each.
    specs = [make_spec(seed=seed) for seed in (3, 1, 2)]
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    alone = train_missing(specs, one, console=Console(file=StringIO()))
    together = train_missing(specs, two, console=console, jobs=2)
    assert [run.spec for run in together] == specs
    assert [numbers(two, run) for run in together] == [numbers(one, run) for run in alone]
    assert {run.result.provenance.threads for run in together} == {1}
    assert {run.result.provenance.executor for run in alone} == {"serial"}
    assert {run.result.provenance.executor for run in together} == {"processes"}
    lines = written(console).splitlines()
    assert len(lines) == 4
    assert {line.split(": ")[0][5:] for line in lines[1:]} == {spec.title for spec in specs}
    # The workers are warm now: bad input and damage get here from them as well.
    with pytest.raises(InputError, match="last"):
        train_missing([with_bad_net(specs[0])], two, console=console, jobs=2)
    (two.folder(specs[0]) / "history.parquet").write_bytes(b"")
    (again,) = train_missing([specs[0]], two, console=console, jobs=2)
    assert numbers(two, again) == numbers(one, alone[0])
    assert "history.parquet" in written(console)


def test_a_log_has_one_plain_line_for_each_run(store, make_spec, console):
    specs = [make_spec(seed=seed) for seed in (1, 2)]
    runs = train_missing(specs, store, console=console)
    first, *lines = written(console).splitlines()
    assert first == "2 runs to train, 0 in the store already"
    assert len(lines) == 2
    for number, (line, run) in enumerate(zip(lines, runs, strict=True), 1):
        accuracy = f"{run.result.final.test_accuracy:.1%}"
        assert line.startswith(f"{number}/2  {run.spec.title}: {accuracy} on test images, ")
        assert " s; about " in line
        assert line.endswith(" left")
    assert "about 0 s left" in lines[-1]
    assert "\x1b" not in written(console)


def test_a_line_says_that_a_run_diverged(store, make_spec, console):
    (run,) = train_missing([make_spec(learning_rate=1e30)], store, console=console)
    assert run.result.status == "diverged"
    assert "diverged in epoch 1, 0 s" in written(console)


def test_a_terminal_gets_a_bar_and_the_lines(store, make_spec):
    console = Console(file=StringIO(), force_terminal=True, width=100)
    train_missing([make_spec(seed=1)], store, console=console)
    text = written(console)
    assert "\x1b[" in text
    assert "1/1 runs" in text
    assert "100%" in text
    assert "on test images" in text


def test_without_a_console_progress_goes_to_standard_error(store, make_spec, capsys):
    train_missing([make_spec(seed=1)], store)
    out, err = capsys.readouterr()
    assert out == ""
    assert "1/1" in err


@pytest.mark.parametrize("name", ["spec.json", "history.parquet", "result.json"])
def test_a_damaged_run_is_told_of_and_trained_again(filled, finished, numbers, console, name):
    spec = finished[1].spec
    path = filled.folder(spec) / name
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DamagedRun):
        filled.read(spec)
    (run,) = train_missing([spec], filled, console=console)
    assert numbers(filled, run) == numbers(*finished)
    (line,) = [line for line in written(console).splitlines() if "running it again" in line]
    assert name in line
    assert str(filled.path / "set-aside" / f"{spec.key}-1") in line


def test_a_damaged_checkpoint_is_told_of_and_the_run_starts_again(store, spec, console, trained):
    # The length of the header, which the progress bar reads as well.
    store.write_checkpoint(spec, {}, digests=Digests(""))
    path = store.folder(spec) / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[39] ^= 128
    path.write_bytes(content)
    train_missing([spec], store, console=console)
    assert trained == all_epochs(0)
    assert "checkpoint.safetensors is not what this run wrote" in written(console)


def test_what_a_kill_between_the_last_two_steps_of_a_run_left_is_removed(store, make_spec, console):
    spec, other = make_spec(), make_spec(seed=1)
    (run,) = train_missing([spec], store, console=console)
    checkpoint = store.folder(spec) / "checkpoint.safetensors"
    checkpoint.write_bytes(b"of an epoch that is behind us")
    lock_file = Path(store.lock(spec).lock_file)
    lock_file.touch()
    train_missing([spec, other], store, console=console)
    assert not checkpoint.exists()
    assert not lock_file.exists()
    assert store.read(spec) == run


def with_bad_net(spec):
    widening = Widening(base_width=2, width=6, allocation={"last": 1.0})
    return spec.model_copy(update={"widening": widening})


def test_an_unknown_dataset_is_refused_before_anything_is_trained(
    store, make_spec, console, tmp_path, trained
):
    bad = RunSpec.model_validate({"data": {"dataset": "nowhere"}})
    with pytest.raises(InputError, match="nowhere"):
        train_missing([make_spec(), bad], store, data_dir=tmp_path, console=console)
    assert trained == []
    assert written(console) == ""
    assert {path.name for path in store.path.iterdir()} <= {"store.json", "locks"}


def test_a_net_that_does_not_exist_is_refused(store, spec, console):
    bad = with_bad_net(spec)
    with pytest.raises(InputError, match="last"):
        train_missing([bad], store, console=console)
    assert not store.folder(bad).exists()


@pytest.mark.parametrize("outcome", ["trained elsewhere", "left undone"])
def test_a_run_that_another_process_trains_is_left_for_the_end(
    store, make_spec, console, trained, held, finished, numbers, outcome
):
    other, (done, run) = make_spec(seed=1), finished
    spec = run.spec

    def go_on(let_go):
        deadline = time.monotonic() + 30
        while store.read(other) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if outcome == "trained elsewhere":
            shutil.copytree(done.folder(spec), store.folder(spec))
        let_go()

    with held(store, spec) as let_go:
        elsewhere = threading.Thread(target=go_on, args=[let_go])
        elsewhere.start()
        runs = train_missing([spec, other], store, console=console)
        elsewhere.join()
    assert [run.spec for run in runs] == [spec, other]
    assert numbers(store, runs[0]) == numbers(*finished)
    if outcome == "trained elsewhere":
        assert runs[0] == run
        assert trained == all_epochs(1)
    else:
        assert trained == all_epochs(1, 0)
    lines = written(console).splitlines()
    assert [line.split("  ")[0] for line in lines[1::2]] == ["1/2", "2/2"]
    assert [other.title in lines[1], spec.title in lines[3]] == [True, True]
    assert lines[2] == f"waiting for {spec.title}, which another process trains"


def test_an_interrupt_leaves_no_unfinished_writes(store, make_spec, console, monkeypatch):
    specs = [make_spec(seed=seed) for seed in range(2)]

    def interrupted(*_):
        for folder in map(store.folder, specs):
            folder.mkdir(exist_ok=True)
            # As a worker that is killed leaves it; the others are not ours.
            (folder / ".model.safetensors.0123456789abcdef.partial").touch()
            (folder / ".nfs0000123").touch()
            (folder / ".ipynb_checkpoints").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("wider.runs._dispatch._all_trained", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_missing(specs, store, console=console)
    left = {path.name for path in store.path.glob("*/.*")}
    assert left == {".nfs0000123", ".ipynb_checkpoints"}


def test_the_processes_of_torchrun_are_the_jobs(store, spec, monkeypatch):
    two = nullcontext(Processes(rank=0, count=2))
    monkeypatch.setattr("wider.runs._schedule.joined_processes", lambda _: two)
    with pytest.raises(
        InputError, match=r"jobs is 2, but torchrun's 2 processes .*: use 'serial' and 1"
    ):
        train_missing([spec], store, jobs=2)
