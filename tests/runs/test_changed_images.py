"""Images that were corrected on disk: no number of the old ones is given for the new ones."""

import shutil
from io import StringIO

import pytest
from rich.console import Console

from wider.data import Preprocessing
from wider.errors import InputError
from wider.runs import RunSpec, Store, Widening, execute, train_missing
from wider.training import Recipe, trainer_for


def spec_of(seed=0, **data):
    return RunSpec(
        data=Preprocessing(dataset="mnist", num_train=100, num_validation=50, **data),
        widening=Widening(base_width=2, width=6),
        recipe=Recipe(epochs=3, batch_size=50),
        seed=seed,
    )


@pytest.fixture
def folders(data_dir, tmp_path):
    """A folder of datasets, and a function that exchanges its training and test images."""
    folder = tmp_path / "data"
    shutil.copytree(data_dir / "mnist", folder / "mnist")

    def exchange():
        train, test = (folder / "mnist" / f"{split}.parquet" for split in ("train", "test"))
        train.rename(folder / "kept")
        test.rename(train)
        (folder / "kept").rename(test)

    return folder, exchange


def trained(store, folder, specs):
    console = Console(file=StringIO(), width=1000)
    runs = train_missing(specs, store, data_dir=folder, console=console)
    return runs, console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def test_a_run_of_other_images_is_set_aside_and_trained_anew(store, folders, tmp_path, numbers):
    folder, exchange = folders
    specs = [spec_of(seed) for seed in (0, 1)]
    old, _ = trained(store, folder, specs)
    digest = old[0].result.provenance.data_digest
    exchange()
    new, said = trained(store, folder, specs)
    assert {run.result.provenance.data_digest for run in new} - {digest} != set()
    assert all(run.result.provenance.data_digest != digest for run in new)
    aside = store.path / "set-aside" / f"{specs[0].key}-{digest[:16]}"
    assert aside.is_dir()
    assert "its data were others" in said
    assert str(aside) in said
    fresh = Store(tmp_path / "fresh")
    expected, _ = trained(fresh, folder, specs)
    assert [numbers(store, run) for run in new] == [numbers(fresh, run) for run in expected]


def test_the_old_run_comes_back_with_the_old_images(store, folders, numbers):
    folder, exchange = folders
    (old,), _ = trained(store, folder, [spec_of()])
    before = numbers(store, old)
    exchange()
    trained(store, folder, [spec_of()])
    exchange()
    (again,), said = trained(store, folder, [spec_of()])
    assert again == old
    assert numbers(store, again) == before
    assert "moved back from" in said
    new = [path.name for path in (store.path / "set-aside").iterdir()]
    assert len(new) == 1
    assert old.result.provenance.data_digest[:16] not in new[0]


def test_what_a_kill_left_of_the_new_run_does_not_hinder_the_old_one(store, folders):
    folder, exchange = folders
    (old,), _ = trained(store, folder, [spec_of()])
    exchange()
    trained(store, folder, [spec_of()])
    kept = store.folder(spec_of()) / "spec.json"
    for path in store.folder(spec_of()).iterdir():
        if path != kept:
            path.unlink()
    exchange()
    (again,), said = trained(store, folder, [spec_of()])
    assert again == old
    assert "moved back from" in said
    assert (store.path / "set-aside" / f"{old.spec.key}-1" / "spec.json").exists()


def test_an_interrupted_run_does_not_go_on_with_other_images(store, folders, tmp_path, numbers):
    folder, exchange = folders

    def interrupt(row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(spec_of(), store, data_dir=folder, checkpoint_seconds=0, on_epoch=interrupt)
    exchange()
    rows, messages = [], []
    run = execute(
        spec_of(), store, data_dir=folder, on_epoch=rows.append, on_damage=messages.append
    )
    assert [row.epoch for row in rows] == [1, 2, 3]
    assert "its data were others" in messages[0]
    fresh = Store(tmp_path / "fresh")
    expected = execute(spec_of(), fresh, data_dir=folder)
    assert numbers(store, run) == numbers(fresh, expected)


def test_images_that_are_made_of_others_are_told_apart_too(store, folders):
    folder, exchange = folders
    shrunk = spec_of(shrunk_to=7)
    (old,), _ = trained(store, folder, [shrunk])
    exchange()
    (new,), said = trained(store, folder, [shrunk])
    assert new.result.provenance.data_digest != old.result.provenance.data_digest
    assert "its data were others" in said


def test_files_that_were_only_touched_hold_the_same_images(store, folders, monkeypatch):
    folder, _ = folders
    (old,), _ = trained(store, folder, [spec_of()])
    (folder / "mnist" / "train.parquet").touch()
    monkeypatch.setattr("wider.training.Engine.run_epoch", pytest.fail)
    assert trained(store, folder, [spec_of()]) == ([old], "")


def test_what_is_there_needs_no_data(store, folders, monkeypatch):
    folder, _ = folders
    (run,), _ = trained(store, folder, [spec_of()])
    shutil.rmtree(folder)
    monkeypatch.setattr("wider.training.Engine.run_epoch", pytest.fail)
    assert trained(store, folder, [spec_of()]) == ([run], "")


def test_a_run_that_vanishes_while_others_train_is_trained_again(store, make_spec, monkeypatch):
    specs = [make_spec(seed=seed) for seed in (0, 1)]
    removed = []

    def removing(*arguments, **keywords):
        if store.folder(specs[0]).exists() and not removed:
            removed.append(shutil.rmtree(store.folder(specs[0])))
        return trainer_for(*arguments, **keywords)

    monkeypatch.setattr("wider.runs._execute.trainer_for", removing)
    runs = train_missing(specs, store)
    assert [run.spec for run in runs] == specs
    assert len(removed) == 1


def test_a_run_that_is_damaged_while_others_train_is_trained_again(store, make_spec, monkeypatch):
    specs = [make_spec(seed=seed) for seed in (0, 1)]
    damaged = []

    def damaging(*arguments, **keywords):
        path = store.folder(specs[0]) / "history.parquet"
        if path.exists() and not damaged:
            damaged.append(path.write_bytes(b""))
        return trainer_for(*arguments, **keywords)

    monkeypatch.setattr("wider.runs._execute.trainer_for", damaging)
    assert [run.spec for run in train_missing(specs, store)] == specs
    assert len(list((store.path / "set-aside").iterdir())) == 1


def test_a_run_that_always_vanishes_is_named(store, spec, monkeypatch):
    monkeypatch.setattr(Store, "survey", lambda *_: ({}, {}))
    with pytest.raises(InputError, match="were trained 3 times") as refusal:
        train_missing([spec], store)
    assert spec.title in str(refusal.value)
