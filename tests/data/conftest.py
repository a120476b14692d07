"""Small datasets on disk, and a cache folder of each test's own."""

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import PIL.Image
import pytest


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("WIDER_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one entry with each file that is opened to be decoded."""
    paths: list[str] = []
    from_file = datasets.Dataset.from_file

    def noted(path: str) -> datasets.Dataset:
        paths.append(path)
        time.sleep(0.02)  # for others to come to it, too
        return from_file(path)

    monkeypatch.setattr(datasets.Dataset, "from_file", noted)
    return paths


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """An array of pixels as the bytes of an image file."""

    def encode(pixels: np.ndarray, file_format: str = "PNG", mode: str | None = None) -> bytes:
        buffer = io.BytesIO()
        image = PIL.Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(buffer, format=file_format)
        return buffer.getvalue()

    return encode


@pytest.fixture
def write(data_dir: Path) -> Callable[..., Path]:
    """Writes any columns as one split of the dataset "small"."""

    def write(split: str, columns: dict[str, Sequence[Any]], **features: Any) -> Path:
        file = data_dir / "small" / f"{split}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        table.to_parquet(file)
        return file

    return write


@pytest.fixture
def write_images(write: Callable[..., Path]) -> Callable[..., Path]:
    """Writes encoded images of cats (0) and dogs (1) as one split of the dataset "small"."""

    def write_images(split: str, images: Sequence[bytes], labels: Sequence[int]) -> Path:
        return write(
            split,
            {"image": [{"bytes": image, "path": None} for image in images], "label": labels},
            image=datasets.Image(),
            label=datasets.ClassLabel(names=["cat", "dog"]),
        )

    return write_images


@pytest.fixture
def greys() -> np.ndarray:
    """Five images of 2x3 pixels."""
    return np.arange(30, dtype=np.uint8).reshape(5, 2, 3) * 8


@pytest.fixture
def image(encode: Callable[..., bytes], greys: np.ndarray) -> dict[str, Any]:
    """An encoded image as datasets stores it in a table."""
    return {"bytes": encode(greys[0]), "path": None}


@pytest.fixture
def small(
    data_dir: Path,
    write_images: Callable[..., Path],
    encode: Callable[..., bytes],
    greys: np.ndarray,
) -> Path:
    """The folder of a dataset "small": three training and two test images."""
    write_images("train", [encode(grey) for grey in greys[:3]], [1, 0, 1])
    write_images("test", [encode(grey) for grey in greys[3:]], [0, 1])
    return data_dir / "small"
