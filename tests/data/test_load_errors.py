"""Datasets that cannot be used, and the messages that say so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from wider.data import load
from wider.errors import InputError


def message(name: str, data_dir: Path | None) -> str:
    with pytest.raises(InputError) as caught:
        load(name, data_dir=data_dir)
    return str(caught.value)


def test_a_missing_folder(data_dir: Path) -> None:
    text = message("small", data_dir)
    assert f"{data_dir / 'small'} is missing" in text
    assert "train.parquet" in text


def test_an_empty_folder(data_dir: Path) -> None:
    (data_dir / "small").mkdir(parents=True)
    (data_dir / "small" / ".hidden").write_text("")
    text = message("small", data_dir)
    assert f"{data_dir / 'small'} is empty" in text
    assert "train.parquet" in text


def test_a_folder_of_something_else(data_dir: Path) -> None:
    (data_dir / "small").mkdir(parents=True)
    (data_dir / "small" / "notes.xyz").write_text("nothing")
    text = message("small", data_dir)
    assert f"{data_dir / 'small'} cannot be read" in text
    assert "train.parquet" in text


def test_a_truncated_parquet_file(small: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = small / "train.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    capfd.readouterr()
    text = message("small", small.parent)
    assert f"{small / 'train.parquet'} cannot be read: Parquet" in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_split(small: Path, split: str) -> None:
    (small / f"{split}.parquet").unlink()
    text = message("small", small.parent)
    assert f"{small} has no split {split!r}" in text
    assert f"only {'test' if split == 'train' else 'train'!r}" in text
    assert "train.parquet and test.parquet" in text


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_empty_split(small: Path, write_images: Callable, split: str) -> None:
    write_images(split, [], [])
    text = message("small", small.parent)
    assert f"The split {split!r} of {small} is empty" in text


@pytest.mark.parametrize("bad", [b"no image", b"", "cut short"])
def test_an_image_that_cannot_be_decoded(
    small: Path, write_images: Callable, encode: Callable, greys: np.ndarray, bad: bytes | str
) -> None:
    good = encode(greys[0])
    write_images("test", [good, good[:-25] if isinstance(bad, str) else bad], [0, 1])
    text = message("small", small.parent)
    assert f"Image 1 of test of {small} cannot be used: " in text
    assert "PNG or JPEG" in text
    assert "0x" not in text  # an address in memory


def test_an_image_of_16_bits(
    small: Path, write_images: Callable, encode: Callable, greys: np.ndarray
) -> None:
    write_images("train", [encode(greys[0].astype(np.uint16) * 256)], [0])
    text = message("small", small.parent)
    assert f"Image 0 of train of {small} cannot be used: it has pixels of mode I;16" in text
    assert "Store it again as an 8-bit PNG" in text


def test_images_of_two_sizes(
    small: Path, write_images: Callable, encode: Callable, greys: np.ndarray
) -> None:
    write_images("test", [encode(greys[0]), encode(greys[0].T)], [0, 1])
    text = message("small", small.parent)
    assert "Image 1 of test has 3x2 pixels (height x width), those before it 2x3" in text
    assert "Resize or crop" in text


@pytest.mark.parametrize("label", [-1, None])
def test_a_label_that_is_out_of_range(
    data_dir: Path, write: Callable, image: dict[str, Any], label: int | None
) -> None:
    for split, labels in (("train", [0, 1]), ("test", [0, label])):
        rows = {"image": [image, image], "label": labels}
        write(split, rows, image=datasets.Image(), label=datasets.Value("int64"))
    text = message("small", data_dir)
    assert f"label of image 1 of test, in column 'label', is {label}" in text
    assert "whole numbers from 0" in text


def test_a_label_for_which_there_is_no_class(
    small: Path, write_images: Callable, encode: Callable, greys: np.ndarray
) -> None:
    write_images("train", [encode(greys[0])], [-1])
    text = message("small", small.parent)
    assert "label of image 0 of train, in column 'label', is -1" in text
    assert "from 0 to 1:" in text


@pytest.mark.parametrize(
    ("kind", "value"), [("string", "cat"), ("float64", 1.0), (None, [1])], ids=str
)
def test_labels_that_are_no_whole_numbers(
    data_dir: Path, write: Callable, image: dict[str, Any], kind: str | None, value: Any
) -> None:
    feature = datasets.Value(kind) if kind else datasets.List(datasets.Value("int64"))
    for split in ("train", "test"):
        rows = {"image": [image], "label": [value]}
        write(split, rows, image=datasets.Image(), label=feature)
    text = message("small", data_dir)
    assert f"column 'label', are of type {kind or 'list'}" in text
    assert "whole numbers from 0" in text


def test_no_image_column(data_dir: Path, write: Callable) -> None:
    for split in ("train", "test"):
        rows = {"image": [1], "label": [0]}
        write(split, rows, **dict.fromkeys(rows, datasets.Value("int64")))
    text = message("small", data_dir)
    assert "columns 'image', 'label'" in text
    assert "type Image" in text


@pytest.mark.parametrize("kinds", [[], ["big", "little"]])
def test_no_single_label_column(
    data_dir: Path, write: Callable, image: dict[str, Any], kinds: list[str]
) -> None:
    for split in ("train", "test"):
        rows = {"image": [image]} | {kind: [0] for kind in kinds}
        features = dict.fromkeys(kinds, datasets.ClassLabel(names=["a"]))
        write(split, rows, image=datasets.Image(), **features)
    text = message("small", data_dir)
    assert f"columns {', '.join(map(repr, ['image', *kinds]))}, and" in text
    assert "Name it 'label'" in text


def test_an_unknown_short_name() -> None:
    text = message("minst", None)
    assert "'minst'" in text
    assert "digits, python-source, breast-cancer, diabetes, mnist, cifar10, cifar100, svhn" in text
    assert "--data-dir" in text


@pytest.mark.parametrize(
    ("name", "location", "config"),
    [
        ("mnist", "ylecun/mnist", None),
        ("cifar10", "uoft-cs/cifar10", None),
        ("cifar100", "uoft-cs/cifar100", None),
        ("svhn", "ufldl-stanford/svhn", "cropped_digits"),
        ("ufldl-stanford/svhn", "ufldl-stanford/svhn", "cropped_digits"),
        ("someone/something", "someone/something", None),
    ],
)
def test_a_hub_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, name: str, location: str, config: str | None
) -> None:
    def unreachable(where: str, variant: str | None, **_: str) -> None:
        assert (where, variant) == (location, config)
        raise ConnectionError(f"Couldn't reach {where!r} on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    text = message(name, None)
    assert f"{location} cannot be read: Couldn't reach {location!r} on the Hub." in text
    assert "--data-dir" in text


def test_a_hub_dataset_is_loaded_through_datasets(
    monkeypatch: pytest.MonkeyPatch, small: Path, cache_dir: Path
) -> None:
    def stand_in(location: str, config: str | None, cache_dir: str) -> datasets.DatasetDict:
        assert (location, config) == ("someone/small", None)
        files = {split: str(small / f"{split}.parquet") for split in ("train", "test")}
        return real("parquet", data_files=files, cache_dir=cache_dir)

    real = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", stand_in)
    data = load("someone/small")
    assert data.name == "someone/small"
    monkeypatch.undo()
    assert data.digest == load("small", data_dir=small.parent, cache_dir=cache_dir).digest


def test_a_split_of_a_hub_dataset_that_is_empty(
    monkeypatch: pytest.MonkeyPatch, small: Path
) -> None:
    empty = datasets.Dataset.from_dict({"image": [], "label": []})
    splits = datasets.DatasetDict({"train": empty, "test": empty})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: splits)
    text = message("someone/small", None)
    assert "split 'train' of someone/small is empty" in text
    assert "at least one example" in text


def test_a_hub_name_that_is_also_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "someone" / "small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    text = message("someone/small", None)
    assert "someone/small is the name of a folder here" in text
    assert "--data-dir ." in text


def test_the_messages_of_the_hub_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub.utils import logging

    def offline(*_: object, **__: object) -> None:
        logging.get_logger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
        raise ConnectionError("Couldn't reach it")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(InputError, match=r"Couldn't reach it"):
        load("someone/something")
    assert capfd.readouterr().err == ""
