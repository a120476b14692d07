"""Large images that cannot be prepared, and the messages that say so."""

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import filelock
import psutil
import pytest

from wider.data import KNOWN, load, load_large, write_shards
from wider.errors import InputError
from wider.executors import LostWorkerError


class Usage(NamedTuple):
    free: int


@pytest.fixture
def originals(photos_dir: Path, tmp_path: Path) -> Path:
    """A copy of the photos, to be damaged."""
    return shutil.copytree(photos_dir / "photos", tmp_path / "originals" / "photos")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def prepared(prepared_dir: Path, tmp_path: Path) -> Path:
    """A copy of the finished preparation, to be damaged."""
    return shutil.copytree(prepared_dir, tmp_path / "prepared") / "photos"


def message(originals: Path, output: Path) -> str:
    with pytest.raises(InputError) as caught:
        write_shards("photos", output, data_dir=originals.parent)
    return str(caught.value)


def left(output: Path) -> set[str]:
    return {path.name for path in output.iterdir()} - {".photos.lock"} if output.exists() else set()


@pytest.mark.parametrize("split", ["train", "val"])
def test_two_corrupt_images_are_too_many(originals: Path, output: Path, split: str) -> None:
    for name in ("1", "2"):
        next((originals / split / "dog").glob(f"{name}.*")).write_bytes(b"broken")
    text = message(originals, output)
    count = 17 if split == "train" else 8
    assert f"2 of the {count} images of {'train' if split == 'train' else 'test'}" in text
    assert f"{split}/dog/1.jpg" in text
    assert f"{split}/dog/2.JPEG" in text
    assert "1 may be skipped" in text
    assert left(output) == set()


@pytest.mark.parametrize("count", [2000, 1999])
def test_a_thousandth_may_be_corrupt(
    tmp_path: Path, output: Path, image: dict[str, Any], count: int
) -> None:
    broken = {"bytes": b"broken", "path": None}
    images = [*[image] * (count - 2), broken, broken]
    tables(tmp_path / "tables" / "photos", {"train": images, "test": [image, image]}, 2)
    if count == 2000:
        index = write_shards("photos", output, data_dir=tmp_path / "tables")
        assert [skipped.row for skipped in index.skipped] == [1998, 1999]
        assert index.counts == {"train": 1998, "test": 2}
    else:
        text = message(tmp_path / "tables" / "photos", output)
        assert "2 of the 1,999 images of train" in text
        assert "1 may be skipped" in text


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_split(originals: Path, output: Path, split: str) -> None:
    shutil.rmtree(originals / split)
    text = message(originals, output)
    missing, there = ("train", "validation") if split == "train" else ("test", "train")
    assert f"{originals} has no split {missing!r}, only {there!r}." in text
    assert "'train' and 'test' or 'validation'" in text
    assert left(output) == set()


def test_test_is_preferred_to_validation(originals: Path, output: Path) -> None:
    shutil.copytree(originals / "val", originals / "test")
    (originals / "test" / "cat" / "0.jpg").unlink()
    assert write_shards("photos", output, data_dir=originals.parent).counts["test"] == 7


def test_class_folders_that_differ(originals: Path, output: Path) -> None:
    (originals / "val" / "dog").rename(originals / "val" / "hound")
    text = message(originals, output)
    assert "classes that train does not have: 'hound'" in text
    shutil.rmtree(originals / "val" / "hound")
    text = message(originals, output)
    assert "test has no image of 1 of them (dog)" in text
    assert "of 2 classes" in text
    assert left(output) == set()


def test_no_class_folders(originals: Path, output: Path) -> None:
    for split in ("train", "val"):
        for path in sorted((originals / split).rglob("*.*")):
            path.rename(originals / split / f"{path.parent.name}{path.name}")
        for animal in ("cat", "dog"):
            (originals / split / animal).rmdir()
    assert f"{originals / 'train' / 'cat0.jpg'} lies in no folder of a class" in message(
        originals, output
    )


def test_labels_outside_the_classes(tmp_path: Path, output: Path, image: dict[str, Any]) -> None:
    folder = tmp_path / "tables" / "photos"
    tables(folder, {"train": [image], "test": [image]}, 2, test=[-1])
    text = message(folder, output)
    assert "label of image 0 of test, in column 'label', is -1" in text
    assert left(output) == set()


def tables(
    folder: Path, images: dict[str, list[dict[str, Any]]], num_classes: int, **labels: list[int]
) -> None:
    """Tables of encoded images; their classes are 0, 1, 0, 1, ... by default."""
    folder.mkdir(parents=True)
    names = [str(number) for number in range(num_classes)]
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=names))
    for split, some in images.items():
        own = labels.get(split, [row % 2 for row in range(len(some))])
        table = datasets.Dataset.from_dict({"image": some, "label": own}, features=features)
        table.to_parquet(folder / f"{split}.parquet")


def imagenet(folder: Path, image: dict[str, Any], num_classes: int) -> None:
    """Tables in the layout of the Hub's imagenet, with secret test labels."""
    images = {split: [image, image] for split in ("train", "validation", "test")}
    tables(folder, images, num_classes, validation=[1, 0], test=[-1, -1])


def test_imagenet_is_tested_on_its_validation_images(
    tmp_path: Path, output: Path, image: dict[str, Any]
) -> None:
    imagenet(tmp_path / "tables" / "imagenet", image, KNOWN["imagenet"].num_classes)
    index = write_shards("imagenet", output, data_dir=tmp_path / "tables")
    assert index.counts == {"train": 2, "test": 2}
    data = load_large("imagenet", data_dir=output, image_size=224)
    assert [data.test.read(row)[1] for row in (0, 1)] == [1, 0]
    assert (data.num_classes, data.image_shape, data.encoding) == (1000, (3, 224, 224), "jpeg")


def test_imagenet_comes_from_the_hub_without_a_folder(
    tmp_path: Path, output: Path, image: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    imagenet(tmp_path / "hub", image, KNOWN["imagenet"].num_classes)
    scratch = []

    def stand_in(location: str, config: str | None, cache_dir: str) -> datasets.DatasetDict:
        assert (location, config) == ("ILSVRC/imagenet-1k", None)
        scratch.append(cache_dir)
        files = {path.stem: str(path) for path in (tmp_path / "hub").iterdir()}
        return real("parquet", data_files=files, cache_dir=cache_dir)

    real = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", stand_in)
    assert write_shards("imagenet", output).counts == {"train": 2, "test": 2}
    assert scratch == [str(output / ".imagenet-source")]  # not the system's small temporary folder


def test_an_imagenet_of_other_classes(tmp_path: Path, output: Path, image: dict[str, Any]) -> None:
    imagenet(tmp_path / "tables" / "imagenet", image, 100)
    with pytest.raises(InputError, match=r"imagenet has 1000 classes, but .* has 100"):
        write_shards("imagenet", output, data_dir=tmp_path / "tables")
    assert not (output / "imagenet").exists()


def test_images_of_one_size_need_no_preparation(output: Path, originals: Path) -> None:
    with pytest.raises(InputError, match="All images of mnist have one size"):
        write_shards("mnist", output, data_dir=originals.parent)


def test_no_workers(output: Path, originals: Path) -> None:
    with pytest.raises(InputError, match="jobs is 0"):
        write_shards("photos", output, data_dir=originals.parent, jobs=0)


def test_a_folder_that_holds_something_else(originals: Path, output: Path) -> None:
    (output / "photos").mkdir(parents=True)
    (output / "photos" / "thesis.txt").write_text("all of it")
    assert f"{output / 'photos'} holds something else" in message(originals, output)
    assert "holds something else" in message(originals, originals.parent)
    assert (output / "photos" / "thesis.txt").read_text() == "all of it"
    assert left(output) == {"photos"}


def test_a_source_that_is_prepared_already(prepared: Path, output: Path) -> None:
    assert "is prepared already" in message(prepared, output)


@pytest.mark.parametrize("finished", [True, False])
def test_a_source_that_changed(originals: Path, output: Path, *, finished: bool) -> None:
    write_shards("photos", output, data_dir=originals.parent)
    if not finished:
        (output / "photos" / "index.json").unlink()
        (output / "photos" / "test-00000.arrow").unlink()
    before = left(output / "photos")
    os.utime(originals / "val" / "cat" / "0.jpg", ns=(0, 0))
    text = message(originals, output)
    assert f"{originals} has changed" in text
    assert f"{output / 'photos'} was prepared from another source" in text
    assert left(output / "photos") == before


def test_too_little_room(originals: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = write_shards("photos", output, data_dir=originals.parent)
    stored = sum(shard.num_bytes for shards in index.splits.values() for shard in shards)
    shutil.rmtree(output)
    asked = []

    def usage(path: Path) -> Usage:
        asked.append(path)
        return Usage(free=stored // 2)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    text = message(originals, output)
    needed = float(text.split(" MB are needed to store 25 images of photos")[0]) * 1e6
    assert 0.95 * stored < needed < 1.15 * stored  # the files hold a little more than images
    assert f"has {stored // 2 / 1e6:.3f} MB left" in text
    assert left(output) == set()
    assert asked
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=2 * stored))
    assert write_shards("photos", output, data_dir=originals.parent) == index


def test_too_little_room_to_unpack_tables(
    tmp_path: Path, output: Path, image: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    imagenet(tmp_path / "tables" / "imagenet", image, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=100))
    with pytest.raises(InputError, match=r"to unpack imagenet, but .* has 0.000 MB left"):
        write_shards("imagenet", output, data_dir=tmp_path / "tables")
    (output / ".imagenet-source").mkdir()
    # Of an earlier call: what is unpacked already needs no room again; the images do.
    (output / ".imagenet-source" / "unpacked").write_bytes(bytes(10**6))
    with pytest.raises(InputError, match=r"to store 4 images of imagenet, but .* has 0.000 MB"):
        write_shards("imagenet", output, data_dir=tmp_path / "tables")


def test_a_folder_that_cannot_be_made(originals: Path, output: Path) -> None:
    output.write_text("a file")
    assert f"preparation of {output / 'photos'} stopped" in message(originals, output)


@pytest.mark.usefixtures("small_shards")
def test_a_source_that_is_gone_for_a_while_costs_nothing(
    originals: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> bytes:
        raise OSError(f"no answer from the drive of {path.name}")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", gone)
        text = message(originals, output)
    assert "no answer from the drive of 0.jpg" in text
    assert "goes on where it was" in text
    assert write_shards("photos", output, data_dir=originals.parent).skipped == ()


def test_another_process_at_work(originals: Path, output: Path) -> None:
    output.mkdir()
    with filelock.FileLock(output / ".photos.lock", is_singleton=False):
        assert "Another process is preparing" in message(originals, output)


def loading(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_large("photos", data_dir=folder.parent, image_size=32)
    return str(caught.value)


def test_prepared_images_are_not_loaded_without_a_size(prepared: Path) -> None:
    with pytest.raises(InputError, match="image_size"):
        load("photos", data_dir=prepared.parent)


def test_an_unfinished_preparation_is_not_loaded(prepared: Path) -> None:
    (prepared / "index.json").unlink()
    assert "is not finished. Run the `wider prepare` command" in loading(prepared)


@pytest.mark.parametrize("damage", ["missing", "cut short"])
def test_a_damaged_shard_is_found(prepared: Path, damage: str) -> None:
    shard = prepared / "train-00001.arrow"
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:-1])
    assert f"{shard} is missing or damaged" in loading(prepared)


def test_a_damaged_index_is_found(prepared: Path) -> None:
    (prepared / "index.json").write_text("{}")
    assert "index.json is damaged" in loading(prepared)


@pytest.mark.usefixtures("small_shards")
def test_a_damaged_shard_is_made_again(
    prepared: Path, prepared_dir: Path, photos_dir: Path
) -> None:
    shard = prepared / "train-00001.arrow"
    shard.write_bytes(shard.read_bytes()[:-1])
    (prepared / "index.json").unlink()
    write_shards("photos", prepared.parent, data_dir=photos_dir)
    expected = prepared_dir / "photos"
    for path in expected.iterdir():
        assert (prepared / path.name).read_bytes() == path.read_bytes()


@pytest.mark.usefixtures("small_shards")
def test_a_worker_that_is_killed_costs_nothing_that_was_unpacked(
    photos_dir: Path, tmp_path: Path
) -> None:
    before = set(psutil.Process().children())

    def kill() -> None:
        while not (workers := set(psutil.Process().children()) - before):
            time.sleep(0.01)
        workers.pop().kill()

    unpacked = tmp_path / ".photos-source" / "unpacked"
    unpacked.parent.mkdir()
    unpacked.touch()
    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(LostWorkerError):
        write_shards("photos", tmp_path, data_dir=photos_dir, jobs=2)
    assert unpacked.exists()
    write_shards("photos", tmp_path, data_dir=photos_dir)
    assert not unpacked.parent.exists()
