"""`wider runs`: what a store holds, and what is trained there now."""

import json
import time

import pytest

from wider.cli import main
from wider.runs import RunSpec, Store, Widening, execute
from wider.training import Recipe


def spec_of(seed, **recipe):
    return RunSpec.model_validate(
        {
            "data": {"dataset": "digits", "num_train": 100},
            "widening": Widening(base_width=2, width=6),
            "recipe": Recipe(**{"epochs": 2, "batch_size": 50, **recipe}),
            "seed": seed,
        }
    )


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDER_CACHE_DIR", str(tmp_path / "cache"))
    store = Store(tmp_path / "store")
    for seed in (1, 0):
        execute(spec_of(seed), store)
    execute(spec_of(2, learning_rate=1e30), store)
    return store


def test_a_store_is_listed(store, capsys):
    left = spec_of(3)
    lock = store.lock(left)
    claim = {
        "title": left.title,
        "epochs": 2,
        "machine": "far-away",
        "process": 77,
        "since": time.time(),
        "epochs_before": 0,
    }
    with lock:
        (store.path / "locks" / f"{left.key}.lock").write_text(json.dumps(claim))
        assert main(["runs", "--store", str(store.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (running,) = [line for line in lines if "running" in line and "seed 3" in line]
    assert "0 of 2" in running
    assert "time left not known yet" in running
    assert "process 77 on far-away" in running
    (diverged,) = [line for line in lines if "seed 2" in line]
    assert "diverged" in diverged
    (finished,) = [line for line in lines if "seeds 0, 1" in line]
    assert "finished" in finished
    assert lines[-1].startswith("4 runs at 20")
    assert lines[-1].endswith(": 1 running, 1 diverged, 2 finished")
    assert main(["runs", "--store", str(store.path)]) == 0
    assert "process 77 on far-away" in capsys.readouterr().out  # abandoned


def test_what_is_damaged_or_set_aside_is_named(store, capsys):
    (store.folder(spec_of(0)) / "history.parquet").write_bytes(b"")
    (store.folder(spec_of(1)) / "history.parquet").write_bytes(b"")
    execute(spec_of(1), store)
    assert main(["runs", "--store", str(store.path)]) == 0
    out = capsys.readouterr().out
    (damaged,) = [line for line in out.splitlines() if "damaged " in line]
    assert "seed 0" in damaged
    assert "history.parquet is not what was written (torn or edited)" in damaged
    assert out.splitlines()[-1].endswith(f"1 set aside in {store.path / 'set-aside'}")


def test_a_store_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["runs", "--store", str(tmp_path / "nowhere")]) == 2
    assert "there is no store" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
