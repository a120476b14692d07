"""What every test shares."""

import io
import os
from pathlib import Path

# The nets are tiny and pytest-xdist has the other cores; processes that tests start inherit it.
os.environ["OMP_NUM_THREADS"] = "1"  # before anything imports torch
# The library of line editing, which pytest loads, sets them for the workers that it starts.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

import datasets
import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import settings

from wider.data import write_shards

settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

torch.set_num_threads(1)


GENERATED = {  # training and test images, and the shape of one
    "mnist": (600, 200, (28, 28)),
    "cifar10": (120, 40, (32, 32, 3)),
}

PHOTO_KINDS = [("RGB", "jpg"), ("L", "jpg"), ("CMYK", "JPEG"), ("P", "png"), ("RGBA", "png")]


# Files of a thousand images would need thousands of them; the number is part of the format.
SMALL_SHARDS = "wider.data.images._shards.IMAGES_A_SHARD", 5


# Real images, where they lie beside the repository; nothing is fetched.
REAL = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small datasets: some of the real CIFAR-10 where it is at hand, and otherwise, as
    for MNIST, generated images of ten easy classes.
    """
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for name, (num_train, num_test, shape) in GENERATED.items():
        (folder / name).mkdir()
        if name == "cifar10" and (REAL / name).is_dir():
            for split, count in (("train", num_train), ("test", num_test)):
                _write_some(REAL / name / f"{split}.parquet", folder / name, count // 10)
            continue
        patterns = generator.integers(0, 256, size=(10, *shape))
        for split, count in (("train", num_train), ("test", num_test)):
            labels = np.arange(count) % 10
            noise = generator.integers(0, 256, size=(count, *shape))
            pixels = ((patterns[labels] + noise) // 2).astype(np.uint8)
            _write(folder / name / f"{split}.parquet", pixels, labels)
    return folder


def _write_some(source: Path, folder: Path, count: int) -> None:
    """Copies the first few images of each class, as they are stored."""
    batch = next(pq.ParquetFile(source).iter_batches(batch_size=1000))
    labels = batch.column("label").to_numpy()
    rows = np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(10)])
    pq.write_table(pa.Table.from_batches([batch]).take(np.sort(rows)), folder / source.name)


def _write(path: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    names = [str(digit) for digit in range(10)]
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    table = datasets.Dataset.from_dict(
        {"image": [{"bytes": _png(image), "path": None} for image in pixels], "label": labels},
        features=datasets.Features(features),
    )
    table.to_parquet(path)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def photos_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset "photos" as image files of many sizes and modes; for reading only."""
    folder = tmp_path_factory.mktemp("originals")
    generator = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for shade, animal in enumerate(("cat", "dog")):
            (folder / "photos" / split / animal).mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 128, (20 + number, 41 - 4 * number, 3)) + 127 * shade
                image = PIL.Image.fromarray(pixels.astype(np.uint8))
                mode, suffix = PHOTO_KINDS[number % len(PHOTO_KINDS)]
                path = folder / "photos" / split / animal / f"{number}.{suffix}"
                image.convert(mode).save(path)
    large = generator.integers(0, 256, (300, 401, 3)).astype(np.uint8)
    PIL.Image.fromarray(large).save(folder / "photos" / "train" / "dog" / "large.JPEG")
    return folder


@pytest.fixture(scope="session")
def prepared_dir(photos_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with "photos" prepared: 17 training and 8 test images; for reading only."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*SMALL_SHARDS)
        write_shards("photos", folder, data_dir=photos_dir)
    return folder


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five images a file."""
    monkeypatch.setattr(*SMALL_SHARDS)


@pytest.fixture(scope="session")
def small_shards_script() -> tuple[str, str]:
    """What has five images a file in another process: a name, and what it has to be there."""
    name, count = SMALL_SHARDS
    return name, str(count)
