"""Datasets that bear a known name, and those that only seem to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from wider.data import KNOWN, Preprocessing, load, load_for, prepare
from wider.errors import InputError


@pytest.fixture
def write_known(data_dir: Path, encode: Callable[..., bytes]) -> Callable[..., None]:
    """Writes two images a split, with labels of the given columns."""

    def write(name: str, shape: tuple[int, ...], **classes: int) -> None:
        generator = np.random.default_rng(0)
        for split in ("train", "test"):
            pixels = generator.integers(0, 256, (2, *shape), dtype=np.uint8)
            columns: dict[str, Any] = {"image": [{"bytes": encode(one)} for one in pixels]}
            features: dict[str, Any] = {"image": datasets.Image()}
            for column, number in classes.items():
                columns[column] = [0, number - 1]
                features[column] = datasets.ClassLabel(num_classes=number)
            (data_dir / name).mkdir(parents=True, exist_ok=True)
            table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
            table.to_parquet(data_dir / name / f"{split}.parquet")

    return write


def test_svhn_in_the_hugging_face_layout(data_dir: Path, write_known: Callable) -> None:
    write_known("svhn", (32, 32, 3), label=10)
    data = load("svhn", data_dir=data_dir)
    assert (data.image_shape, data.num_classes) == ((3, 32, 32), 10)
    assert prepare(data, Preprocessing(dataset="svhn")).count("train") == 2


def test_cifar100_has_its_fine_labels(data_dir: Path, write_known: Callable) -> None:
    write_known("cifar100", (32, 32, 3), fine_label=100, coarse_label=20)
    data = load("cifar100", data_dir=data_dir)
    assert (data.image_shape, data.num_classes) == ((3, 32, 32), 100)
    assert data.train.labels.tolist() == [0, 99]


def test_cifar100_with_its_coarse_labels_is_refused(data_dir: Path, write_known: Callable) -> None:
    write_known("cifar100", (32, 32, 3), label=20)
    for _ in ("decoded", "from the cache"):
        with pytest.raises(InputError, match=r"has 100 classes, but .* has 20.*rename its folder"):
            load("cifar100", data_dir=data_dir)


@pytest.mark.parametrize(
    ("name", "shape", "expected", "found"),
    [("mnist", (28, 28, 3), "grey", "in colour"), ("cifar10", (32, 32), "in colour", "grey")],
)
def test_other_colours_are_refused(
    data_dir: Path,
    write_known: Callable,
    name: str,
    shape: tuple[int, ...],
    expected: str,
    found: str,
) -> None:
    write_known(name, shape, label=10)
    pattern = f"images of {name} are {expected}, but .* are {found}.*rename its folder"
    with pytest.raises(InputError, match=pattern):
        load(name, data_dir=data_dir)
    (data_dir / name).rename(data_dir / "mine")
    assert load("mine", data_dir=data_dir).num_classes == 10


@pytest.mark.parametrize("folder", [True, False])
def test_imagenet_is_not_read_into_memory(data_dir: Path, *, folder: bool) -> None:
    with pytest.raises(InputError, match="wider prepare imagenet --output DIR"):
        load("imagenet", data_dir=data_dir if folder else None)


def test_an_image_size_needs_prepared_images(small: Path) -> None:
    large = Preprocessing(dataset="small", image_size=32)
    for folder in (None, small.parent):
        with pytest.raises(InputError, match=r"image_size is 32.*wider prepare small --output"):
            load_for(large, data_dir=folder)
    with pytest.raises(InputError, match=r"image_size is 32.*leave image_size out"):
        prepare(load("small", data_dir=small.parent), large)
    assert load_for(Preprocessing(dataset="small"), data_dir=small.parent).num_train == 3


def test_digits_are_as_the_table_says() -> None:
    data, known = load("digits"), KNOWN["digits"]
    assert (data.num_train, data.image_shape, data.num_classes) == (
        known.num_train,
        known.image_shape,
        known.num_classes,
    )
