"""What a store says of runs that are trained now, were interrupted, diverged or are damaged."""

import json
import os
import platform
import time

import pytest

from wider.runs import Store, execute, listing


def interrupted(store, spec, epochs=2):
    def interrupt(epoch):
        if epoch.epoch == epochs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(spec, store, checkpoint_seconds=0, on_epoch=interrupt)


def lock_file(store, spec):
    return store.path / "locks" / f"{spec.key}.lock"


def write_claim(store, spec, **changes):
    claim = {
        "title": spec.title,
        "epochs": spec.recipe.epochs,
        "machine": "far-away",
        "process": 123,
        "since": time.time() - 60,
        "epochs_before": 0,
    }
    lock_file(store, spec).parent.mkdir(parents=True, exist_ok=True)
    lock_file(store, spec).write_text(json.dumps(claim | changes))


def test_every_status_is_told(filled, finished, make_spec, held):
    diverged, left, bad, now = (make_spec(seed=seed) for seed in (1, 2, 3, 4))
    diverged = make_spec(seed=1, learning_rate=1e30)
    execute(diverged, filled)
    interrupted(filled, left)
    execute(bad, filled)
    (filled.folder(bad) / "model.safetensors").unlink()
    interrupted(filled, now)
    with held(filled, now):
        runs = listing(filled)
    assert [(run.status, run.spec.seed if run.spec else None) for run in runs] == [
        ("running", 4),
        ("abandoned", 2),
        ("damaged", 3),
        ("diverged", 1),
        ("finished", 0),
    ]
    assert [run.epochs for run in runs] == [2, 2, 0, 1, 3]
    assert [run.asked for run in runs] == [3] * 5
    assert "model.safetensors is missing" in runs[2].reason
    assert [run.status for run in listing(filled)][:2] == ["abandoned", "abandoned"]


def test_a_run_tells_who_trains_it_and_nothing_is_left_when_it_is_done(store, spec):
    seen = []

    def look(_):
        seen.extend(listing(store))

    before = time.time()
    execute(spec, store, checkpoint_seconds=0, on_epoch=look)
    assert [run.status for run in seen] == ["running"] * 3
    assert [int(run.epochs) for run in seen] == [1, 2, 2]  # none is written after the last epoch
    claim = seen[0].claim
    assert claim is not None
    assert (claim.machine, claim.process) == (platform.node(), os.getpid())
    assert before <= claim.since <= time.time()
    assert claim.title == spec.title
    assert list((store.path / "locks").iterdir()) == []


def test_the_time_that_is_left_follows_from_what_this_process_did(store, make_spec, held):
    spec = make_spec(epochs=10)
    interrupted(store, spec, epochs=4)
    with held(store, spec):
        write_claim(store, spec, since=time.time() - 60, epochs_before=1)
        (run,) = listing(store)
    # Three epochs in a minute: six more take two.
    assert run.status == "running"
    assert run.seconds_left == pytest.approx(120, abs=2)
    assert run.claim is not None
    assert run.claim.who.startswith("process 123 on far-away, since 2")
    with held(store, spec):
        write_claim(store, spec, epochs_before=4)
        (run,) = listing(store)
    assert run.seconds_left is None


def test_a_run_that_was_killed_before_its_first_checkpoint_is_abandoned(store, spec):
    write_claim(store, spec)
    (run,) = listing(store)
    assert (run.status, run.title, run.epochs, run.asked) == ("abandoned", spec.title, 0, 3)
    execute(spec, store)
    assert [run.status for run in listing(store)] == ["finished"]
    assert list((store.path / "locks").iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"title": 1}', "[" * 100_000, "\0"])
def test_a_lock_that_says_nothing_is_no_claim(store, spec, held, text):
    with held(store, spec):
        lock_file(store, spec).write_text(text)
        (run,) = listing(store)
    assert (run.status, run.title, run.claim) == ("running", "", None)
    assert listing(store) == []


def test_lock_files_of_finished_runs_are_removed(filled, spec, make_spec):
    from wider.runs import train_missing

    (filled.path / "locks").mkdir(exist_ok=True)
    lock_file(filled, spec).touch()  # as versions before this one left it
    train_missing([make_spec(seed=1)], filled)
    assert list((filled.path / "locks").iterdir()) == []


def test_a_listing_writes_nothing(filled, spec, make_spec):
    interrupted(filled, make_spec(seed=1))
    filled.runs()

    def snapshot():
        return {path: path.lstat().st_mtime_ns for path in filled.path.rglob("*")}

    before = snapshot()
    listing(Store(filled.path))
    assert snapshot() == before
