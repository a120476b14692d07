"""The cache of decoded images."""

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from wider.data import ImageData, load

FILES = 2  # one of each split, that are opened when a dataset is decoded


def assert_same(first: ImageData, second: ImageData) -> None:
    assert (first.name, first.classes, first.encoding, first.digest) == (
        second.name,
        second.classes,
        second.encoding,
        second.digest,
    )
    for ours, theirs in ((first.train, second.train), (first.test, second.test)):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)


def cache_file(cache_dir: Path) -> Path:
    (file,) = cache_dir.glob("*.safetensors")
    return file


def test_a_second_load_reads_the_cache(small: Path, opened: list[str]) -> None:
    first = load("small", data_dir=small.parent)
    second = load("small", data_dir=small.parent)
    assert len(opened) == FILES
    assert_same(first, second)


def test_the_cache_folder_is_the_argument_before_the_environment(
    small: Path, tmp_path: Path, cache_dir: Path
) -> None:
    load("small", data_dir=small.parent, cache_dir=tmp_path / "mine")
    assert cache_file(tmp_path / "mine").name.startswith("small-")
    assert not cache_dir.exists()


def test_the_users_cache_folder_is_the_last_resort(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WIDER_CACHE_DIR")
    users = tmp_path / "users"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda program: users / program)
    load("small", data_dir=small.parent)
    assert cache_file(users / "wider")


def test_a_changed_or_moved_folder_is_decoded_anew(
    small: Path, opened: list[str], write_images: Callable, encode: Callable, greys: np.ndarray
) -> None:
    first = load("small", data_dir=small.parent)
    write_images("test", [encode(greys[0])], [1])
    second = load("small", data_dir=small.parent)
    assert first.digest != second.digest
    shutil.copytree(small, small.parent / "other")
    third = load("other", data_dir=small.parent)
    assert third.digest == second.digest
    os.utime(small / "test.parquet", ns=(1, 1))
    load("small", data_dir=small.parent)
    assert len(opened) == 4 * FILES


def test_the_cache_keeps_no_reference_to_the_users_files(
    small: Path, tmp_path: Path, cache_dir: Path
) -> None:
    data = load("small", data_dir=small.parent)
    assert os.fsencode(tmp_path) not in cache_file(cache_dir).read_bytes()
    with safe_open(cache_file(cache_dir), framework="pt") as file:
        about = {key: json.loads(value) for key, value in file.metadata().items()}
    assert about == {
        "kind": "images",
        "classes": ["cat", "dog"],
        "encoding": "png",
        "digest": data.digest,
        "notes": [],
    }


def test_a_cache_file_of_before_there_were_kinds_is_read(
    small: Path, opened: list[str], cache_dir: Path
) -> None:
    first = load("small", data_dir=small.parent)
    with safe_open(cache_file(cache_dir), framework="pt") as file:
        about = {key: text for key, text in file.metadata().items() if key != "kind"}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    safetensors.torch.save_file(tensors, cache_file(cache_dir), metadata=about)
    assert_same(first, load("small", data_dir=small.parent))
    assert len(opened) == FILES


@pytest.mark.parametrize("kept", [0, 5, 300, -1])
def test_a_torn_cache_file_is_replaced(
    small: Path, opened: list[str], cache_dir: Path, kept: int
) -> None:
    first = load("small", data_dir=small.parent)
    cache_file(cache_dir).write_bytes(cache_file(cache_dir).read_bytes()[:kept])
    for _ in range(2):  # the second time from the new file
        assert_same(first, load("small", data_dir=small.parent))
    assert len(opened) == 2 * FILES


@pytest.mark.parametrize("tensor", ["train.images", "train.labels", "test.images", "test.labels"])
def test_an_edited_byte_is_noticed(
    small: Path, opened: list[str], cache_dir: Path, tensor: str
) -> None:
    first = load("small", data_dir=small.parent)
    whole = bytearray(cache_file(cache_dir).read_bytes())
    header_size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + header_size])
    whole[8 + header_size + header[tensor]["data_offsets"][0]] ^= 1
    cache_file(cache_dir).write_bytes(whole)
    assert_same(first, load("small", data_dir=small.parent))
    assert len(opened) == 2 * FILES


def test_an_edited_class_name_is_noticed(small: Path, opened: list[str], cache_dir: Path) -> None:
    load("small", data_dir=small.parent)
    whole = cache_file(cache_dir).read_bytes()
    cache_file(cache_dir).write_bytes(whole.replace(b"dog", b"cow"))
    assert load("small", data_dir=small.parent).classes == ("cat", "dog")
    assert len(opened) == 2 * FILES


def test_of_several_at_once_one_decodes(small: Path, opened: list[str]) -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(load("small", data_dir=small.parent)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == FILES
    assert len(found) == 3
    assert_same(found[0], found[1])
    assert_same(found[0], found[2])


def test_nothing_but_the_cache_file_and_its_lock_is_left(small: Path, cache_dir: Path) -> None:
    load("small", data_dir=small.parent)
    assert {file.suffix for file in cache_dir.iterdir()} <= {".safetensors", ".lock"}


def test_a_cache_folder_that_cannot_be_made_costs_a_warning(
    small: Path, tmp_path: Path, opened: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        with pytest.warns(UserWarning, match="Set WIDER_CACHE_DIR") as warned:
            data = load("small", data_dir=small.parent, cache_dir=tmp_path / "file" / "cache")
        assert len(warned) == 1
        assert str(tmp_path / "file" / "cache") in str(warned[0].message)
        assert warned[0].filename == __file__
        assert len(data.train.labels) == 3
    assert len(opened) == 2 * FILES


def test_a_full_disk_costs_a_warning_and_leaves_nothing_half_written(
    small: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        data = load("small", data_dir=small.parent)
    assert len(data.train.labels) == 3
    assert {file.suffix for file in cache_dir.iterdir()} <= {".lock"}
