"""Preparing large images that are as they should be."""

import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import PIL.Image
import PIL.ImageOps
import pyarrow as pa
import pytest
from rich.console import Console

from wider.data import Index, write_shards
from wider.errors import InputError

# A child kills itself (SIGKILL: nothing is cleaned up) inside the nth call of a function that
# writes. It forks before anything is computed, so that each moment costs little.
KILLED_AT_NTH_WRITE = """
import os, signal, sys
from pathlib import Path
from unittest import mock
import datasets, torch
torch.set_num_threads(1)  # a forked child would wait for its parent's other threads for ever
from wider.data import write_shards
mock.patch(sys.argv[3], int(sys.argv[4])).start()

def kill_in(name, nth, before):
    calls, real = [], getattr(os, name)

    def patched(*arguments):
        ours = name == "fsync" or str(arguments[0]).endswith(".partial")
        calls.extend([name] * ours)
        if ours and len(calls) == nth and before:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*arguments)
        if ours and len(calls) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, name, patched)

for moment in sys.argv[5:]:
    name, nth, side = moment.split()
    child = os.fork()
    if child == 0:
        kill_in(name, int(nth), side == "before")
        write_shards("photos", Path(sys.argv[2]) / moment, data_dir=Path(sys.argv[1]))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

# 8 files: a note of the source, four shards of 17 images and two of 8, the index.
MOMENTS = ["fsync 1 before", "fsync 4 before", "replace 7 after", "replace 8 after"]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(folder: Path, split: str) -> list[dict]:
    tables = [pa.ipc.open_file(path).read_all() for path in sorted(folder.glob(f"{split}-*"))]
    return pa.concat_tables(tables).replace_schema_metadata().to_pylist()


def pixels_of(stored: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(stored))).astype(np.int64)


def test_the_index_says_what_is_there(prepared_dir: Path) -> None:
    folder = prepared_dir / "photos"
    index = Index.model_validate_json((folder / "index.json").read_bytes())
    assert (index.name, index.classes, index.skipped) == ("photos", ("cat", "dog"), ())
    assert index.counts == {"train": 17, "test": 8}
    assert index.encoding == "jpeg"
    assert "256 pixels" in index.rule
    assert "quality 90" in index.rule
    shards = [shard for shards in index.splits.values() for shard in shards]
    assert [shard.count for shard in shards] == [5, 5, 5, 2, 5, 3]
    assert {path.name for path in folder.iterdir()} == {
        "index.json",
        "preparation.json",
        *(shard.file for shard in shards),
    }
    assert [path.name for path in prepared_dir.iterdir() if path != folder] == [".photos.lock"]


def test_every_image_is_as_plain_pillow_makes_it(photos_dir: Path, prepared_dir: Path) -> None:
    for split, source in (("train", "train"), ("test", "val")):
        originals = sorted((photos_dir / "photos" / source).rglob("*.*"))
        stored = rows(prepared_dir / "photos", split)
        assert len(stored) == len(originals)
        for path, row in zip(originals, stored, strict=True):
            image = PIL.Image.open(path).convert("RGB")
            scale = min(256 / min(image.size), 1)  # small ones are left as they are
            size = (round(image.width * scale), round(image.height * scale))
            buffer = io.BytesIO()
            image.resize(size, PIL.Image.Resampling.BILINEAR).save(buffer, "JPEG", quality=90)
            assert min(size) == min(256, *image.size)
            assert row["image"] == buffer.getvalue()
            assert row["label"] == ["cat", "dog"].index(path.parent.name)
            assert (row["width"], row["height"]) == size


def test_sums_are_those_of_the_stored_pixels(prepared_dir: Path) -> None:
    for row in rows(prepared_dir / "photos", "train"):
        pixels = pixels_of(row["image"])
        assert pixels.shape == (row["height"], row["width"], 3)
        assert row["sums"] == pixels.sum(axis=(0, 1)).tolist()
        assert row["squares"] == (pixels**2).sum(axis=(0, 1)).tolist()


@pytest.mark.usefixtures("small_shards")
def test_parquet_and_workers_give_the_same_images(
    photos_dir: Path, prepared_dir: Path, tmp_path: Path
) -> None:
    names = {"train": "train", "val": "test"}
    for source, split in names.items():
        paths = sorted((photos_dir / "photos" / source).rglob("*.*"))
        table = datasets.Dataset.from_dict(
            {
                "image": [{"bytes": path.read_bytes(), "path": path.name} for path in paths],
                "label": [["cat", "dog"].index(path.parent.name) for path in paths],
            },
            features=datasets.Features(
                image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"])
            ),
        )
        (tmp_path / "tables" / "photos").mkdir(parents=True, exist_ok=True)
        table.to_parquet(tmp_path / "tables" / "photos" / f"{split}.parquet")
    index = write_shards("photos", tmp_path / "out", data_dir=tmp_path / "tables", jobs=2)
    expected = Index.model_validate_json((prepared_dir / "photos" / "index.json").read_bytes())
    assert index.digest == expected.digest
    assert index.splits == expected.splits
    shards = {name: data for name, data in content(prepared_dir / "photos").items() if "-0" in name}
    ours = content(tmp_path / "out" / "photos")
    assert {name: data for name, data in ours.items() if "-0" in name} == shards
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"photos", ".photos.lock"}


@pytest.fixture(scope="module")
def killed(
    photos_dir: Path, small_shards_script: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of preparations, one for each moment."""
    folder = tmp_path_factory.mktemp("killed")
    arguments = [str(photos_dir), str(folder), *small_shards_script, *MOMENTS]
    command = [sys.executable, "-c", KILLED_AT_NTH_WRITE, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(MOMENTS)
    return folder


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_in_the_nth_write_it_goes_on(
    killed: Path, photos_dir: Path, prepared_dir: Path, moment: str
) -> None:
    folder = killed / moment / "photos"
    there = {path.name: path.stat().st_mtime_ns for path in folder.glob("*-*.arrow")}
    write_shards("photos", killed / moment, data_dir=photos_dir)
    assert content(folder) == content(prepared_dir / "photos")
    assert there == {name: (folder / name).stat().st_mtime_ns for name in there}  # not done again
    assert {path.name for path in (killed / moment).iterdir()} == {"photos", ".photos.lock"}


def test_what_is_finished_is_not_opened_again(
    photos_dir: Path, prepared_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.Dataset, "from_file", pytest.fail)
    before = content(prepared_dir / "photos")
    assert write_shards("photos", prepared_dir, data_dir=photos_dir).counts["train"] == 17
    assert content(prepared_dir / "photos") == before


def test_one_corrupt_image_is_skipped_and_named(photos_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(photos_dir / "photos", tmp_path / "photos")
    bad = tmp_path / "photos" / "train" / "cat" / "3.png"
    bad.write_bytes(bad.read_bytes()[:-60])
    output = io.StringIO()
    index = write_shards(
        "photos", tmp_path / "out", data_dir=tmp_path, console=Console(file=output, width=200)
    )
    (skipped,) = index.skipped
    assert (skipped.split, skipped.row, skipped.name) == ("train", 3, "train/cat/3.png")
    assert "truncated" in skipped.reason
    assert "skipped: train image 3 train/cat/3.png (" in output.getvalue()
    assert index.counts == {"train": 16, "test": 8}
    labels = [row["label"] for row in rows(tmp_path / "out" / "photos", "train")]
    assert labels == [0] * 7 + [1] * 9
    document = json.loads((tmp_path / "out" / "photos" / "index.json").read_bytes())
    assert document["skipped"] == [skipped.model_dump()]


@pytest.fixture
def stored(tmp_path: Path, write_images: Callable[..., Path]) -> Callable[[bytes], dict]:
    """What is stored of one image."""

    def stored(image: bytes) -> dict:
        folder = write_images("train", [image, image], [0, 1]).parent
        write_images("test", [image, image], [0, 1])
        write_shards("small", tmp_path / "out", data_dir=folder.parent)
        return rows(tmp_path / "out" / "small", "train")[0]

    return stored


def test_a_photograph_on_its_side_is_turned_upright(stored: Callable[[bytes], dict]) -> None:
    pixels = np.zeros((300, 600, 3), dtype=np.uint8)
    pixels[:, 300:] = 255
    exif = PIL.Image.Exif()
    exif[PIL.Image.ExifTags.Base.Orientation] = 6  # its top is at the right
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format="PNG", exif=exif)
    row = stored(buffer.getvalue())
    assert (row["height"], row["width"]) == (512, 256)
    assert pixels_of(row["image"])[:200].mean() < 5
    assert pixels_of(row["image"])[-200:].mean() > 250


def test_broken_notes_of_a_camera_are_ignored(stored: Callable[[bytes], dict]) -> None:
    buffer = io.BytesIO()
    image = PIL.Image.fromarray(np.full((4, 4, 3), 200, dtype=np.uint8))
    image.save(buffer, format="JPEG", exif=b"Exif\0\0garbage")
    assert pixels_of(stored(buffer.getvalue())["image"]).mean() > 190


@pytest.mark.parametrize("mode", ["1", "LA", "RGBA", "P", "CMYK", "YCbCr"])
def test_every_8_bit_mode_is_read(
    stored: Callable[[bytes], dict], encode: Callable[..., bytes], mode: str
) -> None:
    grey = np.full((4, 4), 255, dtype=np.uint8)
    image = encode(grey, "TIFF" if mode in ("CMYK", "YCbCr") else "PNG", mode)
    assert pixels_of(stored(image)["image"]).min() > 250


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"", "it is no file of the formats BMP, GIF"),
        (b"no image", "it is no file of the formats BMP, GIF"),
        ("16 bits", "mode I;16"),
        ("long", "."),  # 65,536 pixels are more than a JPEG can have
    ],
)
def test_the_reason_is_told(
    stored: Callable[[bytes], dict], encode: Callable[..., bytes], bad: bytes | str, reason: str
) -> None:
    if bad == "16 bits":
        bad = encode(np.zeros((4, 4), dtype=np.uint16))
    elif bad == "long":
        bad = encode(np.zeros((1, 65_536), dtype=np.uint8))
    assert isinstance(bad, bytes)
    with pytest.raises(InputError, match=rf"2 of the 2 images of .*train image 0 \(.*{reason}"):
        stored(bad)
