"""A store that others can write: nothing outside it is written, and nobody waits for a pipe."""

import hashlib
import json
import os
import shutil

import pytest

from wider.errors import InputError
from wider.runs import DamagedRun, Store, execute, listing

FILES = ["spec.json", "history.parquet", "model.safetensors", "result.json"]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def decoy(tmp_path):
    """A folder outside of the store, with files of the names that a run has."""
    folder = tmp_path / "decoy"
    folder.mkdir()
    for name in [*FILES, "checkpoint.safetensors", "store.json"]:
        (folder / name).write_text("mine")
    return folder


def test_a_run_folder_that_is_a_link_is_not_written_through(
    store, spec, finished, numbers, decoy, tmp_path
):
    before = contents(decoy)
    store.ensure_writable()
    store.folder(spec).symlink_to(decoy)
    with pytest.raises(DamagedRun, match="is a link"):
        store.read(spec)
    messages = []
    run = execute(spec, store, checkpoint_seconds=0, on_damage=messages.append)
    assert numbers(store, run) == numbers(*finished)
    assert contents(decoy) == before
    assert "is a link" in messages[0]
    assert (store.path / "set-aside" / f"{spec.key}-1").is_symlink()


@pytest.mark.parametrize("name", FILES[:3])
def test_a_folder_where_an_unfinished_run_has_a_file_is_set_aside(
    store, spec, finished, numbers, name
):
    def interrupt(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(spec, store, checkpoint_seconds=0, on_epoch=interrupt)
    (store.folder(spec) / name).unlink(missing_ok=True)
    (store.folder(spec) / name).mkdir()
    messages = []
    run = execute(spec, store, on_damage=messages.append)
    assert numbers(store, run) == numbers(*finished)
    assert f"{name} is a folder" in messages[0]
    assert (store.path / "set-aside" / f"{spec.key}-1" / name).is_dir()


@pytest.mark.parametrize("name", ["locks", "set-aside"])
def test_a_folder_of_the_store_that_is_a_link_is_refused(filled, spec, decoy, name):
    before = contents(decoy)
    if (filled.path / name).exists():
        shutil.rmtree(filled.path / name)
    (filled.path / name).symlink_to(decoy)
    (filled.folder(spec) / "spec.json").write_text("damage")
    with pytest.raises(InputError, match=f"{name} is a link"):
        execute(spec, filled)
    assert contents(decoy) == before


def test_a_lock_that_is_a_link_is_not_written_through(store, spec, decoy):
    store.ensure_writable()
    target = decoy / "spec.json"
    (store.path / "locks" / f"{spec.key}.lock").symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"):
        execute(spec, store)
    assert target.read_text() == "mine"


def test_the_description_of_a_store_is_no_link(tmp_path, decoy):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "store.json").symlink_to(decoy / "store.json")
    with pytest.raises(InputError, match="a link"):
        Store(tmp_path / "store")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["link", "pipe", "device", "folder"])
def test_what_is_no_file_is_named_and_not_read(filled, spec, name, kind):
    path = filled.folder(spec) / name
    kept = path.rename(path.with_name("kept"))
    match kind:
        case "link":
            path.symlink_to(kept)
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
    damages = []
    assert filled.runs(damages.append) == []
    assert len(damages) == 1
    assert name in damages[0]
    with pytest.raises(DamagedRun, match=name):
        filled.read(spec)


def test_a_pipe_in_the_place_of_a_checkpoint_is_named(store, spec):
    store.folder(spec).mkdir(parents=True)
    os.mkfifo(store.folder(spec) / "checkpoint.safetensors")
    assert store.epochs_done(spec) == 0
    with pytest.raises(DamagedRun, match="checkpoint"):
        store.read_checkpoint(spec)
    assert [run.status for run in listing(store)] == ["damaged"]


def resealed(path, change):
    """Changes a result and seals it again, as a forger would."""
    document = json.loads(path.read_bytes())
    del document["seal"]
    change(document)
    text = (json.dumps(document, indent=2) + "\n").encode()
    document["seal"] = hashlib.sha256(text).hexdigest()
    path.write_text(json.dumps(document, indent=2) + "\n")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("final", {"epoch": 3, "test_accuracy": 0.99}),
        ("best_test", {"epoch": 3, "test_accuracy": 0.99}),
        ("best_validation", None),
        ("status", "diverged"),
        ("epochs", 4),
        ("seconds", 1e9),
    ],
)
def test_a_result_that_its_history_does_not_bear_out_is_not_believed(filled, spec, field, value):
    path = filled.folder(spec) / "result.json"
    resealed(path, lambda document: document["result"].update({field: value}))
    with pytest.raises(DamagedRun, match=f"history.parquet says of {field}"):
        filled.read(spec)


@pytest.mark.parametrize("rows", ["none", "without the first", "doubled", "without the last"])
def test_a_history_of_other_epochs_is_not_believed(filled, spec, rows):
    import pandas as pd

    folder = filled.folder(spec)
    table = pd.read_parquet(folder / "history.parquet")
    changed = {
        "none": table.iloc[:0],
        "without the first": table.iloc[1:],
        "doubled": pd.concat([table, table]),
        "without the last": table.iloc[:-1],
    }[rows]
    changed.to_parquet(folder / "history.parquet", index=False)
    digest = hashlib.sha256((folder / "history.parquet").read_bytes()).hexdigest()
    files = {"history.parquet": digest}
    resealed(folder / "result.json", lambda document: document["files"].update(files))
    with pytest.raises(DamagedRun, match=r"history\.parquet"):
        filled.read(spec)


def test_files_outside_of_the_folder_are_not_asked_for(filled, spec):
    path = filled.folder(spec) / "result.json"
    resealed(path, lambda document: document["files"].update({"../../decoy": "0" * 64}))
    with pytest.raises(DamagedRun, match="does not name the files"):
        filled.read(spec)


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("spec.json", DEEP),
        ("result.json", DEEP),
        ("result.json", b'{"a":' * 100_000),
        ("result.json", b'{"seal": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        ("history.parquet", b"PAR1PAR1"),
        ("spec.json", b"{}"),
    ],
)
def test_one_bad_run_does_not_hide_the_others(filled, spec, make_spec, name, content):
    other = execute(make_spec(seed=1), filled)
    (filled.folder(spec) / name).write_bytes(content)
    damages = []
    assert filled.runs(damages.append) == [other]
    assert [spec.key in damage for damage in damages] == [True]


def test_a_folder_that_is_not_named_after_its_run_is_named(filled, spec):
    shutil.copytree(filled.folder(spec), filled.path / "copy of a run")
    damages = []
    assert [run.spec for run in filled.runs(damages.append)] == [spec]
    assert len(damages) == 1
    assert "copy of a run" in damages[0]
    assert [run.status for run in listing(filled)] == ["damaged", "finished"]
