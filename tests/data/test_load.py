"""Loading datasets that are as they should be."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from sklearn.datasets import load_digits

from wider.data import load

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


def test_a_folder_of_parquet_files_gives_its_pixels_labels_and_classes(
    small: Path, greys: np.ndarray
) -> None:
    data = load("small", data_dir=small.parent)
    assert (data.name, data.classes, data.encoding) == ("small", ("cat", "dog"), "png")
    assert np.array_equal(data.train.images, greys[:3, None])
    assert np.array_equal(data.test.images, greys[3:, None])
    assert data.train.images.dtype == torch.uint8
    assert data.train.labels.tolist() == [1, 0, 1]
    assert data.test.labels.tolist() == [0, 1]
    assert data.train.labels.dtype == torch.int64
    assert (data.num_classes, data.image_shape, data.num_features) == (2, (1, 2, 3), 6)


def test_the_digest_covers_class_names_shapes_and_bytes(small: Path, greys: np.ndarray) -> None:
    layout = [
        ["torch.uint8", [3, 1, 2, 3]],
        ["torch.int64", [3]],
        ["torch.uint8", [2, 1, 2, 3]],
        ["torch.int64", [2]],
    ]
    content = json.dumps([["cat", "dog"], layout]).encode()
    for images, labels in ((greys[:3], [1, 0, 1]), (greys[3:], [0, 1])):
        content += images.tobytes() + np.array(labels, dtype="<i8").tobytes()
    assert load("small", data_dir=small.parent).digest == hashlib.sha256(content).hexdigest()


def test_one_colour_image_makes_all_images_coloured(
    data_dir: Path, write_images: Callable, encode: Callable, greys: np.ndarray
) -> None:
    colour = np.stack([greys[0], greys[1], greys[2]], axis=2)
    write_images("train", [encode(greys[0]), encode(greys[1])], [0, 1])
    write_images("test", [encode(colour)], [0])
    data = load("small", data_dir=data_dir)
    assert data.image_shape == (3, 2, 3)
    assert np.array_equal(data.train.images[1], np.stack([greys[1]] * 3))
    assert np.array_equal(data.test.images[0], greys[:3])


@pytest.mark.parametrize("mode", ["1", "LA", "RGBA", "P", "CMYK"])
def test_every_8_bit_mode_is_read(
    data_dir: Path, write_images: Callable, encode: Callable, mode: str
) -> None:
    white = np.full((2, 3), 255, dtype=np.uint8)
    image = encode(white, "TIFF" if mode == "CMYK" else "PNG", mode)
    write_images("train", [image], [0])
    write_images("test", [image], [1])
    data = load("small", data_dir=data_dir)
    assert data.image_shape == (1 if mode in ("1", "LA") else 3, 2, 3)
    assert data.train.images.eq(255).all()


def test_the_encoding_is_the_files_own_or_mixed(
    data_dir: Path, write_images: Callable, encode: Callable, greys: np.ndarray
) -> None:
    jpeg = encode(greys[0], "JPEG")
    write_images("train", [jpeg], [0])
    write_images("test", [jpeg], [1])
    assert load("small", data_dir=data_dir).encoding == "jpeg"
    write_images("test", [encode(greys[1])], [1])
    assert load("small", data_dir=data_dir).encoding == "mixed"


def test_a_photograph_on_its_side_is_turned_upright(
    data_dir: Path, write_images: Callable, greys: np.ndarray, tmp_path: Path
) -> None:
    exif = PIL.Image.Exif()
    exif[PIL.Image.ExifTags.Base.Orientation] = 3  # upside down
    PIL.Image.fromarray(greys[1]).save(tmp_path / "turned.png", exif=exif)
    image = (tmp_path / "turned.png").read_bytes()
    write_images("train", [image], [0])
    write_images("test", [image], [1])
    data = load("small", data_dir=data_dir)
    assert np.array_equal(data.train.images[0, 0], greys[1, ::-1, ::-1])
    assert data.encoding == "png"


def test_plain_numbers_as_labels_name_their_classes(
    data_dir: Path, write: Callable, encode: Callable, greys: np.ndarray
) -> None:
    for split, labels in (("train", [1, 0, 2]), ("test", [2])):
        records = [{"bytes": encode(greys[0]), "path": "a.png"}] * len(labels)
        plain = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
        write(split, {"img": records, "label": labels}, img=plain, label=datasets.Value("uint8"))
    data = load("small", data_dir=data_dir)
    assert data.classes == ("0", "1", "2")
    assert data.train.labels.tolist() == [1, 0, 2]
    assert data.test.labels.tolist() == [2]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"fine_label": ["a", "b"], "coarse_label": ["c", "d"]}, ("a", "b")),
        ({"kind": ["e", "f"]}, ("e", "f")),
        ({"label": ["g", "h"], "other": ["i", "j"]}, ("g", "h")),
    ],
)
def test_the_label_column_is_found(
    data_dir: Path,
    write: Callable,
    image: dict[str, Any],
    columns: dict[str, list[str]],
    expected: tuple[str, ...],
) -> None:
    features = {name: datasets.ClassLabel(names=names) for name, names in columns.items()}
    for split in ("train", "test"):
        rows: dict[str, list[Any]] = {name: [1] for name in columns}
        rows["photo"] = [image]
        write(split, rows, photo=datasets.Image(), **features)
    assert load("small", data_dir=data_dir).classes == expected


def test_a_folder_of_image_files_is_read(data_dir: Path, greys: np.ndarray) -> None:
    for split in ("train", "test"):
        for label, animal in enumerate(("cat", "dog")):
            folder = data_dir / "pets" / split / animal
            folder.mkdir(parents=True)
            PIL.Image.fromarray(greys[label]).save(folder / "1.png")
    data = load("pets", data_dir=data_dir)
    assert data.classes == ("cat", "dog")
    assert np.array_equal(data.train.images[data.train.labels.argsort()], greys[:2, None])


def test_loading_leaves_standard_error_and_the_settings_of_datasets_alone(
    small: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = datasets.utils.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    capfd.readouterr()
    load("small", data_dir=small.parent)
    assert capfd.readouterr() == ("", "")
    assert before == (datasets.utils.are_progress_bars_disabled(), datasets.logging.get_verbosity())


def test_digits_are_scikit_learns_split_once_and_for_all() -> None:
    data = load("digits")
    levels, targets = cast(Any, load_digits(return_X_y=True))
    assert (data.encoding, data.image_shape, data.num_classes) == ("array", (1, 8, 8), 10)
    assert (len(data.train.labels), len(data.test.labels)) == (1297, 500)
    rows = torch.cat([data.train.images, data.test.images]).flatten(1).tolist()
    labels = torch.cat([data.train.labels, data.test.labels]).tolist()
    spread = [[round(level * 255 / 16) for level in image] for image in levels]
    ours = sorted(zip(rows, labels, strict=True))
    assert ours == sorted(zip(spread, targets.tolist(), strict=True))
    assert data.digest == "3030567b97a0170faf03b080f46923ad401fd02510e7575c10d0cbbea66729bb"


@pytest.mark.skipif(
    not (SHARED_DATA / "mnist").is_dir(), reason=f"needs MNIST in {SHARED_DATA / 'mnist'}"
)
def test_mnist_is_the_known_one() -> None:
    data = load("mnist", data_dir=SHARED_DATA)
    assert data.train.images.shape == (60_000, 1, 28, 28)
    assert data.test.images.shape == (10_000, 1, 28, 28)
    assert data.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    pixels = data.train.images.numpy() / np.float32(255)
    assert pixels.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std(dtype=np.float64) == pytest.approx(0.3081, abs=5e-5)
