"""What every test shares."""

import io
import os
from pathlib import Path

# The nets are tiny and pytest-xdist has the other cores; processes that tests start inherit it.
os.environ["OMP_NUM_THREADS"] = "1"  # before anything imports torch

import datasets
import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import settings

settings.register_profile("local", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_dir_with_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of datasets whose "mnist" has 600 + 200 generated images of ten easy classes."""
    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 256, size=(10, 28, 28))
    for split, count in (("train", 600), ("test", 200)):
        labels = generator.integers(0, 10, size=count)
        noise = generator.integers(0, 256, size=(count, 28, 28))
        pixels = ((patterns[labels] + noise) // 2).astype(np.uint8)
        table = datasets.Dataset.from_dict(
            {"image": [{"bytes": _png(image), "path": None} for image in pixels], "label": labels},
            features=datasets.Features(
                {
                    "image": datasets.Image(),
                    "label": datasets.ClassLabel(names=[str(digit) for digit in range(10)]),
                }
            ),
        )
        (folder / "mnist").mkdir(exist_ok=True)
        table.to_parquet(folder / "mnist" / f"{split}.parquet")
    return folder


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
