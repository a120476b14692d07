"""What is written comes back, and what was damaged since is found."""

import json
import os
import shutil
import stat

import pytest
import torch

from wider.data import load, prepare
from wider.errors import InputError
from wider.runs import SCHEMA_VERSION, DamagedRun, Digests, RunSpec, Store, execute
from wider.sparsity import count_weights
from wider.training import trainer_for

FILES = ["spec.json", "history.parquet", "model.safetensors", "result.json"]
CHECKPOINT = "checkpoint.safetensors"
DIGEST_BYTES = 32


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def size_of(path):
    return path.stat().st_size


DAMAGE = {
    "empty": lambda path: cut(path, 0),
    "half": lambda path: cut(path, size_of(path) // 2),
    "last byte gone": lambda path: cut(path, size_of(path) - 1),
    "first byte flipped": lambda path: flip(path, 0),
    "byte in the middle flipped": lambda path: flip(path, size_of(path) // 2),
    "last byte flipped": lambda path: flip(path, size_of(path) - 1),
    "zeros of the same size": lambda path: path.write_bytes(bytes(size_of(path))),
}


def trained_by_hand(spec):
    images = load("digits")
    model = spec.build(images.task)
    data = prepare(images, spec.data)
    trainer = trainer_for(model, data, spec.recipe, seed=spec.seed)
    while not trainer.finished:
        trainer.run_epoch()
    trainer.update_model()
    return trainer, data.test_images


def with_checkpoint(store, spec):
    """A store in which a run was interrupted after two epochs."""

    def interrupt(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(spec, store, checkpoint_seconds=0, on_epoch=interrupt)
    return store.folder(spec) / CHECKPOINT


def test_a_run_comes_back_as_it_was(finished, spec):
    store, run = finished
    found = Store(store.path).read(spec)
    assert found is not None
    assert found.spec == spec
    assert found.result == run.result
    assert repr(found.history) == repr(run.history)  # repr: every digit, and NaN is itself


def test_the_layers_come_back_in_their_order(finished, spec):
    store, run = finished
    found = store.read(spec)
    assert found is not None
    assert list(run.result.connectivity) == ["hidden.0", "output", ""]
    assert list(found.result.connectivity) == ["hidden.0", "output", ""]


def test_a_folder_holds_these_files_and_no_others(finished, spec):
    store, _ = finished
    folder = store.folder(spec)
    assert folder == store.path / spec.key
    assert set(everything(folder)) == set(FILES)
    assert RunSpec.model_validate_json((folder / "spec.json").read_bytes()) == spec


def test_the_model_comes_back_with_its_masks_and_its_outputs(finished, spec):
    store, run = finished
    trainer, images = trained_by_hand(spec)
    assert [row._replace(seconds=0) for row in run.history] == [
        row._replace(seconds=0) for row in trainer.history
    ]
    before = torch.get_rng_state()
    model = store.load_model(run)
    assert torch.equal(torch.get_rng_state(), before)
    assert count_weights(model) == run.result.num_weights == 148
    with torch.no_grad():
        assert torch.equal(model(images), trainer.model(images))


def test_what_was_never_run_is_not_there(store, spec):
    assert store.read(spec) is None
    assert store.read_checkpoint(spec) is None
    assert store.epochs_done(spec) == 0
    assert store.runs() == []
    assert not store.folder(spec).exists()


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_a_torn_or_edited_file_is_found_and_named(filled, spec, name, damage):
    path = filled.folder(spec) / name
    DAMAGE[damage](path)
    if name == "result.json" and damage == "last byte gone":
        # The line's end: nothing is lost.
        assert filled.read(spec) is not None
        return
    with pytest.raises(DamagedRun, match=name):
        filled.read(spec)


@pytest.mark.parametrize("name", ["spec.json", "history.parquet", "model.safetensors"])
def test_a_missing_file_is_found_and_named(filled, spec, name):
    (filled.folder(spec) / name).unlink()
    with pytest.raises(DamagedRun, match=f"{name} is missing"):
        filled.read(spec)


def test_without_a_result_the_run_is_not_finished(filled, spec, finished, numbers):
    # It is written last, so what is there without it is an interrupted run, not a damaged one.
    (filled.folder(spec) / "result.json").unlink()
    assert filled.read(spec) is None
    assert filled.runs() == []
    assert numbers(filled, execute(spec, filled, on_damage=pytest.fail)) == numbers(*finished)


def test_no_byte_of_a_result_can_be_flipped_unseen(filled, spec, finished):
    path = filled.folder(spec) / "result.json"
    content = path.read_bytes()
    unseen = 0
    for position in range(len(content)):
        edited = bytearray(content)
        edited[position] ^= 1
        path.write_bytes(edited)
        try:
            run = filled.read(spec)
        except DamagedRun:
            continue
        # The last digit of a long number can be another one and round to the same number.
        assert run.result == finished[1].result
        unseen += 1
    assert unseen <= 8


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("result", "best_test", "test_accuracy"), 0.99),
        (("result", "final", "test_accuracy"), 0.99),
        (("result", "status"), "diverged"),
        (("result", "num_weights"), 3970),
        (("result", "provenance", "engine"), "abacus"),
        (("files", "model.safetensors"), "0" * 64),
        (("files",), {}),
        (("seal",), "0" * 64),
        (("seal",), None),
    ],
)
def test_an_edited_result_is_found(filled, spec, edit_json, keys, value):
    edit_json(filled.folder(spec) / "result.json", *keys, value=value)
    with pytest.raises(DamagedRun, match=r"result\.json is not what was written"):
        filled.read(spec)


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b'"text"', b'{"seal": 1}', b"\xff"])
def test_a_result_that_is_something_else_is_found(filled, spec, content):
    (filled.folder(spec) / "result.json").write_bytes(content)
    with pytest.raises(DamagedRun, match=r"result\.json"):
        filled.read(spec)


def test_the_spec_of_another_run_is_found(filled, spec, make_spec):
    path = filled.folder(spec) / "spec.json"
    path.write_text(make_spec(seed=1).model_dump_json())
    with pytest.raises(DamagedRun, match=r"spec\.json is not what was written"):
        filled.read(spec)


def test_the_folder_of_another_run_is_found(filled, spec, make_spec):
    other = make_spec(seed=1)
    filled.folder(spec).rename(filled.folder(other))
    with pytest.raises(DamagedRun, match=r"spec\.json describes another run"):
        filled.read(other)
    damages = []
    assert filled.runs(damages.append) == []
    assert len(damages) == 1
    assert "describes another run" in damages[0]


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_run_is_set_aside_and_trained_again(filled, spec, finished, numbers, name):
    DAMAGE["byte in the middle flipped"](filled.folder(spec) / name)
    damaged = everything(filled.folder(spec))
    messages = []
    run = execute(spec, filled, on_damage=messages.append)
    assert numbers(filled, run) == numbers(*finished)
    assert filled.read(spec) == run
    aside = filled.path / "set-aside" / f"{spec.key}-1"
    assert everything(aside) == damaged
    (message,) = messages
    assert name in message
    assert str(aside) in message
    assert filled.runs(pytest.fail) == [run]  # what was set aside is not listed


def test_every_damaged_run_is_kept_aside(filled, spec):
    for number in (1, 2, 3):
        path = filled.folder(spec) / "spec.json"
        path.write_text(f"damage {number}")
        execute(spec, filled)
        kept = filled.path / "set-aside" / f"{spec.key}-{number}" / "spec.json"
        assert kept.read_text() == f"damage {number}"


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_set_aside_and_the_run_starts_again(
    store, spec, finished, numbers, damage
):
    path = with_checkpoint(store, spec)
    DAMAGE[damage](path)
    with pytest.raises(DamagedRun, match=CHECKPOINT):
        store.read_checkpoint(spec)
    damaged = everything(path.parent)
    messages, epochs = [], []
    run = execute(spec, store, on_damage=messages.append, on_epoch=epochs.append)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert numbers(store, run) == numbers(*finished)
    assert everything(store.path / "set-aside" / f"{spec.key}-1") == damaged
    assert len(messages) == 1
    assert CHECKPOINT in messages[0]


def test_no_byte_of_a_checkpoint_can_be_flipped_unseen(store, spec):
    path = with_checkpoint(store, spec)
    content = path.read_bytes()
    for position in range(0, len(content), 61):
        path.write_bytes(content)
        flip(path, position)
        with pytest.raises(DamagedRun, match=CHECKPOINT):
            store.read_checkpoint(spec)


def test_the_checkpoint_of_another_run_is_not_gone_on_from(store, spec, make_spec, numbers):
    # The nets have the same shapes, so nothing but the run's name can tell.
    other = make_spec(seed=1)
    stranger = with_checkpoint(store, other)
    path = with_checkpoint(store, spec)
    shutil.copy(stranger, path)
    expected = trained_by_hand(spec)[0].history
    run = execute(spec, store)
    assert [row.train_loss for row in run.history] == [row.train_loss for row in expected]


def head_with(entry):
    head = f'{{"history": {{"shape": [1, 8]}}, {entry}}}'.encode()
    return len(head).to_bytes(8, "little") + head


def test_epochs_done_counts_an_epoch_that_has_begun_by_its_images(store, spec):
    state = {"history": torch.empty(1, 8), "epoch.visited": torch.empty(60, 240, 0)}
    store.write_checkpoint(spec, state, digests=Digests(""))
    assert store.epochs_done(spec) == 1.25


def test_epochs_done_counts_the_epochs_of_a_checkpoint(store, spec):
    path = with_checkpoint(store, spec)
    assert store.epochs_done(spec) == 2
    content = path.read_bytes()
    assert len(store.read_checkpoint(spec)["history"]) == 2
    for size in (0, 1, DIGEST_BYTES, DIGEST_BYTES + 4, DIGEST_BYTES + 8, DIGEST_BYTES + 20):
        path.write_bytes(content[:size])
        assert store.epochs_done(spec) == 0


@pytest.mark.parametrize(
    "head",
    [
        (2**63).to_bytes(8, "little"),
        (2**60).to_bytes(8, "little"),
        (2).to_bytes(8, "little") + b"[]",
        (27).to_bytes(8, "little") + b'{"history": {"shape": [] }}',
        head_with('"epoch.visited": {"shape": [0, 0, 0]}'),
        head_with('"epoch.visited": {"shape": [5]}'),
        head_with('"epoch.visited": 5'),
    ],
    ids=["no size", "no memory", "a list", "a number", "no image", "no images", "no shape"],
)
def test_epochs_done_takes_a_damaged_checkpoint_for_none(store, spec, head):
    # It runs while others write; whatever is in the file, `execute` is the one to say so.
    path = with_checkpoint(store, spec)
    path.write_bytes(bytes(DIGEST_BYTES) + head)
    assert store.epochs_done(spec) == 0


def test_runs_lists_the_finished_runs_and_reports_the_damaged(filled, spec, make_spec):
    other, another, unfinished, damaged = (make_spec(seed=seed) for seed in (1, 2, 3, 4))
    for one in (other, another, damaged):
        execute(one, filled)
    with_checkpoint(filled, unfinished)
    (filled.folder(damaged) / "history.parquet").unlink()
    damages = []
    runs = filled.runs(damages.append)
    assert [run.spec for run in runs] == sorted([spec, other, another], key=lambda one: one.key)
    assert runs == [filled.read(run.spec) for run in runs]
    (damage,) = damages
    assert str(filled.folder(damaged)) in damage
    assert "history.parquet" in damage


@pytest.mark.parametrize("name", FILES)
def test_runs_reports_whichever_file_is_gone_bad(filled, spec, name):
    (filled.folder(spec) / name).write_bytes(b"\xff")
    damages = []
    assert filled.runs(damages.append) == []
    assert len(damages) == 1
    assert spec.key in damages[0]


@pytest.mark.parametrize("found", [SCHEMA_VERSION + 1, 0, "one", None])
def test_a_store_of_another_version_is_refused_and_left_alone(tmp_path, found):
    description = tmp_path / "store.json"
    description.write_text(json.dumps({"schema_version": found}))
    with pytest.raises(InputError) as refusal:
        Store(tmp_path)
    message = str(refusal.value)
    assert f"schema version {found!r}" in message
    assert f"this wider reads {SCHEMA_VERSION}" in message
    assert "--store" in message
    assert json.loads(description.read_text()) == {"schema_version": found}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b'"text"', b"\xff\xfe", b'{"schema_version"']
)
def test_a_description_that_is_something_else_is_refused(tmp_path, content):
    (tmp_path / "store.json").write_bytes(content)
    with pytest.raises(InputError, match=r"store\.json.* is not the description of a store"):
        Store(tmp_path)
    assert (tmp_path / "store.json").read_bytes() == content


@pytest.mark.parametrize("below", [(), ("store",), ("deep", "store")])
def test_a_store_in_the_place_of_a_file_is_refused(tmp_path, below):
    file = tmp_path / "file"
    file.write_text("mine")
    path = file.joinpath(*below)
    with pytest.raises(InputError, match=r"cannot use .* as a store") as refusal:
        Store(path)
    assert str(path) in str(refusal.value)
    assert file.read_text() == "mine"


def test_a_store_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        Store(tmp_path / "store").ensure_writable()


def test_a_store_is_made_with_the_folders_above_it(tmp_path):
    path = tmp_path / "a" / "b"
    Store(path).ensure_writable()
    assert json.loads((path / "store.json").read_text()) == {"schema_version": SCHEMA_VERSION}
    written = (path / "store.json").stat().st_mtime_ns
    Store(path).ensure_writable()
    assert (path / "store.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("count", range(14))
def test_a_write_that_fails_leaves_no_rubbish(store, finished, numbers, monkeypatch, count):
    spec = finished[1].spec
    # Two epochs with spec and checkpoint before and after their evaluation, a third one with those
    # before it; then spec, history, model and result.
    store.ensure_writable()
    sync, calls = os.fsync, []

    def fill_up(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            calls.append(descriptor)
            if len(calls) > count:
                raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(OSError, match="No space left"):
        execute(spec, store, checkpoint_seconds=0)
    assert len(calls) == count + 1
    assert [path.name for path in store.path.rglob(".*")] == []
    assert store.read(spec) is None
    assert int(store.epochs_done(spec)) == min(count // 4, 2)
    monkeypatch.undo()
    epochs = []
    run = execute(spec, store, on_damage=pytest.fail, on_epoch=epochs.append)
    assert len(epochs) == 3 - min(count // 4, 2)
    assert numbers(store, run) == numbers(*finished)
