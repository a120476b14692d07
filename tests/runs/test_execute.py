"""One run: found, trained, interrupted, gone on with."""

import math
import random
import shutil
import subprocess
import sys
import time
from datetime import datetime
from types import SimpleNamespace

import filelock
import numpy as np
import pandas as pd
import pytest
import torch

from wider.data import Preprocessing, load
from wider.errors import InputError
from wider.models import MLPSpec
from wider.runs import RunSpec, Store, Widening, execute
from wider.sparsity import count_weights
from wider.training import Recipe

# Two of these train one spec at once; each epoch adds a line to a log. They start when they may.
RACER = """
import os, sys, time
from pathlib import Path
from wider.runs import RunSpec, Store, execute
folder, spec = Path(sys.argv[1]), RunSpec.model_validate_json(sys.argv[2])

def log(epoch):
    with (folder / "log").open("a") as file:
        file.write(f"{os.getpid()} {epoch.epoch}\\n")
    time.sleep(0.02)

print("ready", flush=True)
sys.stdin.readline()
run = execute(spec, Store(folder / "store"), on_epoch=log)
print(run.result.final.test_accuracy)
"""


def interrupt_after(epochs):
    def interrupt(row):
        if row.epoch == epochs:
            raise KeyboardInterrupt

    return interrupt


def interrupted(spec, store, epochs, checkpoint_seconds=0.0):
    with pytest.raises(KeyboardInterrupt):
        execute(
            spec,
            store,
            on_epoch=interrupt_after(epochs),
            checkpoint_seconds=checkpoint_seconds,
        )


def global_state():
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    return bytes(torch.get_rng_state().tolist()), repr(numpy), random.getstate()


@pytest.mark.usefixtures("no_training")
def test_a_run_that_is_there_is_not_trained(filled, spec, finished):
    files = {path: path.stat().st_mtime_ns for path in filled.folder(spec).iterdir()}
    assert execute(spec, filled) == finished[1]
    assert {path: path.stat().st_mtime_ns for path in filled.folder(spec).iterdir()} == files


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("epochs", [1, 2, 4])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    tmp_path, make_spec, numbers, momentum, epochs
):
    spec = make_spec(epochs=5, momentum=momentum, weight_decay=0.01)
    whole, store = Store(tmp_path / "whole"), Store(tmp_path / "interrupted")
    expected = execute(spec, whole)
    interrupted(spec, store, epochs)
    assert store.read(spec) is None
    assert store.epochs_done(spec) == epochs
    rows = []
    run = execute(spec, store, on_epoch=rows.append)
    assert [row.epoch for row in rows] == list(range(epochs + 1, 6))
    assert numbers(store, run) == numbers(whole, expected)
    assert store.epochs_done(spec) == 5
    assert not list(store.folder(spec).glob("checkpoint*"))


def test_interrupted_again_and_again(store, make_spec, tmp_path, numbers):
    spec = make_spec(epochs=5)
    whole = Store(tmp_path / "whole")
    for epochs in (1, 2, 4):
        interrupted(spec, store, epochs)
    assert numbers(store, execute(spec, store)) == numbers(whole, execute(spec, whole))


def test_the_seconds_of_an_interrupted_run_are_those_of_all_epochs(store, spec):
    interrupted(spec, store, 2)
    kept = store.read_checkpoint(spec)["history"][:, -1].tolist()
    run = execute(spec, store)
    assert [row.seconds for row in run.history][:2] == kept
    assert run.result.seconds == pytest.approx(sum(row.seconds for row in run.history), rel=1e-15)


def test_without_a_checkpoint_an_interrupted_run_starts_again(store, spec, finished, numbers):
    interrupted(spec, store, 2, checkpoint_seconds=1e9)
    assert not store.folder(spec).exists()
    rows = []
    run = execute(spec, store, on_epoch=rows.append)
    assert [row.epoch for row in rows] == [1, 2, 3]
    assert numbers(store, run) == numbers(*finished)


def test_a_checkpoint_is_written_when_it_is_due(store, make_spec, monkeypatch):
    # A clock that moves on with each look: one before and one after an evaluation, one after a
    # checkpoint.
    clock = SimpleNamespace(monotonic=iter(range(0, 10**6, 1000)).__next__)
    monkeypatch.setattr("wider.runs._checkpoint_clock.time", clock)
    written = []
    monkeypatch.setattr(store, "write_checkpoint", lambda _, state, **__: written.append(state))
    execute(make_spec(epochs=8), store, checkpoint_seconds=2500.0)
    places = [(len(state["history"]), "epoch.visited" in state) for state in written]
    assert places == [(1, True), (3, False), (4, True), (6, False), (7, True)]


@pytest.mark.parametrize(("writes", "epochs", "images"), [(1, 0, 50), (5, 0, 230), (8, 1, 100)])
def test_a_run_interrupted_within_an_epoch_goes_on_there(
    tmp_path, by_steps, numbers, visited, monkeypatch, writes, epochs, images
):
    whole, store = Store(tmp_path / "whole"), Store(tmp_path / "interrupted")
    expected = execute(by_steps, whole)
    write, written = store.write_checkpoint, []

    def interrupt(*arguments, **keywords):
        write(*arguments, **keywords)
        written.append(arguments)
        if len(written) == writes:
            raise KeyboardInterrupt

    monkeypatch.setattr(store, "write_checkpoint", interrupt)
    with pytest.raises(KeyboardInterrupt):
        execute(by_steps, store, checkpoint_seconds=0)
    assert store.epochs_done(by_steps) == epochs + images / (230 + 60 + 500)
    rows = []
    visited.clear()
    run = execute(by_steps, store, on_epoch=rows.append)
    assert sum(visited) == (3 - epochs) * 230 - images
    assert [row.epoch for row in rows] == [1, 2, 3][epochs:]
    assert numbers(store, run) == numbers(whole, expected)
    assert run.history[epochs].seconds > written[-1][1]["epoch.seconds"]


def test_epochs_are_told_in_order_and_are_those_of_the_history(store, spec):
    rows = []
    assert execute(spec, store, on_epoch=rows.append).history == tuple(rows)


def test_the_result_is_that_of_the_history_and_the_net(finished, spec):
    store, run = finished
    result, rows = run.result, run.history
    assert result.status == "finished"
    assert result.epochs == len(rows) == 3
    # 64 x 2 + 2 x 10 weights; at width 6 the 60 of the last layer stay and 88 of 384 before it.
    assert result.num_weights == 148
    assert result.connectivity == pytest.approx(
        {"hidden.0": 88 / 384, "output": 1.0, "": 148 / 444}, rel=1e-15
    )
    assert result.image_shape == (1, 8, 8)
    assert result.num_classes == 10
    tests = [row.test_accuracy for row in rows]
    validations = [row.validation_accuracy for row in rows]
    best = validations.index(max(validations))
    assert result.final.model_dump() == {"epoch": 3, "test_accuracy": tests[-1]}
    assert result.best_test.model_dump() == {
        "epoch": tests.index(max(tests)) + 1,
        "test_accuracy": max(tests),
    }
    assert result.best_validation is not None
    assert result.best_validation.model_dump() == {
        "epoch": best + 1,
        "test_accuracy": tests[best],
    }
    assert result.seconds == pytest.approx(sum(row.seconds for row in rows), rel=1e-15)
    model = store.load_model(run)
    assert count_weights(model) == 148
    assert model.hidden[0].weight.count_nonzero() == 88


def test_the_accuracies_are_fractions_of_the_images(finished):
    _, run = finished
    sizes = {"train_accuracy": 230, "test_accuracy": 500, "validation_accuracy": 60}
    for row in run.history:
        for name, size in sizes.items():
            hits = getattr(row, name) * size
            assert hits == pytest.approx(round(hits), abs=1e-9)
            assert 0 <= hits <= size


def test_it_learns(store, make_spec):
    # Ten classes by chance: 10%, standard error 1.3% on 500 test images.
    spec = make_spec(epochs=30, batch_size=10)
    assert (execute(spec, store).result.final.test_accuracy or 0) > 0.5


def test_the_provenance_of_a_result(store, spec):
    before = datetime.now().astimezone().replace(microsecond=0)
    provenance = execute(spec, store).result.provenance
    started = datetime.fromisoformat(provenance.started)
    assert started.tzinfo is not None
    assert before <= started <= datetime.now().astimezone()
    assert provenance.engine == "native"
    assert provenance.device == "cpu"
    assert provenance.threads == torch.get_num_threads()
    assert provenance.versions["torch"] == torch.__version__
    assert provenance.versions["numpy"] == np.__version__
    assert provenance.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert provenance.data_digest == load("digits").digest
    assert provenance.data_encoding == "array"


def test_without_validation_images_there_is_no_best_on_them(store, spec):
    data = spec.data.model_copy(update={"num_validation": 0})
    run = execute(spec.model_copy(update={"data": data}), store)
    assert run.result.best_validation is None
    assert all(math.isnan(row.validation_accuracy) for row in run.history)
    found = store.read(run.spec)
    assert found is not None
    assert found.result == run.result
    assert repr(found.history) == repr(run.history)


def test_a_run_that_diverges_is_finished_and_says_so(store, make_spec, monkeypatch):
    spec = make_spec(epochs=5, learning_rate=1e30)
    run = execute(spec, store, checkpoint_seconds=0)
    assert run.result.status == "diverged"
    assert run.result.epochs == len(run.history) == 1
    assert run.history.diverged
    monkeypatch.setattr("wider.training.Engine.run_epoch", pytest.fail)
    for found in (execute(spec, store), *store.runs(pytest.fail)):
        assert found.spec == spec
        assert found.result == run.result
        assert repr(found.history) == repr(run.history)


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others(
    store, finished, numbers, make_spec
):
    again = execute(make_spec(seed=0), store)
    assert numbers(store, again) == numbers(*finished)
    rows, _, model = numbers(store, execute(make_spec(seed=1), store))
    assert rows != numbers(*finished)[0]
    assert model != numbers(*finished)[2]


def test_no_global_generator_is_touched(store, spec):
    torch.manual_seed(5)
    before = global_state()
    interrupted(spec, store, 1)
    execute(spec, store)
    assert global_state() == before


def test_a_run_that_another_process_trains_is_not_waited_for(store, spec, finished, held):
    with held(store, spec), pytest.raises(filelock.Timeout):
        execute(spec, store, wait=False)
    assert not store.folder(spec).exists()
    assert execute(spec, store, wait=False).history[-1].test_loss == (
        finished[1].history[-1].test_loss
    )


@pytest.mark.usefixtures("no_training")
def test_what_another_process_trained_meanwhile_is_found(store, spec, finished, held):
    done, run = finished
    with held(store, spec) as let_go:
        shutil.copytree(done.folder(spec), store.folder(spec))
        let_go()
        assert execute(spec, store) == run


def test_two_processes_train_one_run_once(tmp_path, spec, finished, numbers):
    command = [sys.executable, "-c", RACER, str(tmp_path), spec.model_dump_json()]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        answers = []
        for racer in racers:  # both must be let go before either is waited for
            assert racer.stdin is not None
            racer.stdin.write("\n")
            racer.stdin.flush()
        answers = [float(racer.communicate(timeout=60)[0]) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert answers == [finished[1].result.final.test_accuracy] * 2
    log = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert [epoch for _, epoch in log] == ["1", "2", "3"]
    assert len({process for process, _ in log}) == 1
    store = Store(tmp_path / "store")
    found = store.read(spec)
    assert found is not None
    assert numbers(store, found) == numbers(*finished)


def bad_data(spec):
    return spec.model_copy(update={"data": spec.data.model_copy(update={"num_train": 10**6})})


def bad_name(spec):
    return spec.model_copy(update={"data": spec.data.model_copy(update={"dataset": "nowhere"})})


def bad_net(spec):
    widening = Widening(base_width=2, width=6, allocation={"last": 1.0})
    return spec.model_copy(update={"widening": widening})


@pytest.mark.parametrize(
    ("change", "named"), [(bad_data, "1000000"), (bad_name, "nowhere"), (bad_net, "last")]
)
def test_bad_input_is_refused_before_anything_is_written(store, spec, tmp_path, change, named):
    bad = change(spec)
    with pytest.raises(InputError, match=named):
        execute(bad, store, data_dir=tmp_path if change is bad_name else None)
    assert not store.folder(bad).exists()
    assert store.runs() == []


@pytest.mark.parametrize("device", ["nonsense", "cuda"])
def test_a_device_that_does_not_exist_is_bad_input(store, spec, device):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(InputError, match=device):
        execute(spec, store, device=device)
    assert not store.folder(spec).exists()


def test_time_and_memory_are_plausible(finished, store, spec):
    start = time.perf_counter()
    run = execute(spec, store)
    assert 0 < run.result.seconds < time.perf_counter() - start
    assert 2**25 < run.result.peak_memory < 2**36  # PyTorch alone takes more than 32 MiB


def test_the_files_can_be_read_without_this_library(finished, spec):
    store, run = finished
    table = pd.read_parquet(store.folder(spec) / "history.parquet")
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["test_accuracy"].tolist() == [row.test_accuracy for row in run.history]
    assert RunSpec.model_validate_json((store.folder(spec) / "spec.json").read_text()) == spec


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("method", ["linear_bottleneck", "nonlinear_bottleneck"])
def test_bottlenecks_are_trained_and_kept(method, store):
    spec = RunSpec(
        data=Preprocessing(dataset="digits", num_train=230),
        model=MLPSpec(num_hidden_layers=2),
        widening=Widening(method=method, base_width=4, width=8),
        recipe=Recipe(epochs=3, batch_size=50, learning_rate=0.2),
    )
    run = execute(spec, store)
    assert run.result.num_weights <= (360 if method == "linear_bottleneck" else 312)
    assert run.history[-1].train_loss < run.history[0].train_loss
    kept = store.read(spec)
    assert kept is not None
    assert kept.result == run.result
    engine = run.result.provenance.engine
    assert engine == ("torch, masked" if method == "linear_bottleneck" else "native")


def test_the_precision_is_provenance_and_not_identity(store, spec, finished):
    run = execute(spec, store, precision="bfloat16")
    assert run.result.provenance.engine == "torch, masked, bfloat16"
    assert run.history[-1].train_loss == pytest.approx(finished[1].history[-1].train_loss, rel=0.05)
    assert execute(spec, store) == run
