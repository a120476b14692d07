"""Training on large images that are decoded when they are needed."""

import io
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from wider.data import Batch, Preprocessing, StreamedData, load_large, prepare, random_boxes
from wider.errors import InputError
from wider.randomness import stream

# One core is enough here, although PyTorch advises against it. Python from 3.12 on warns of every
# fork beside threads; the workers touch none of what these hold.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
]

SIZE = 32
NUM_TRAIN = 17

Make = Callable[..., StreamedData]


@pytest.fixture
def make(prepared_dir: Path) -> Make:
    """The photos, ready for training."""

    def make(workers: int = 0, **preprocessing: Any) -> StreamedData:
        wanted = Preprocessing(**{"dataset": "photos", "image_size": SIZE, **preprocessing})
        data = load_large("photos", data_dir=prepared_dir, image_size=SIZE)
        prepared = prepare(data, wanted, workers=workers)
        assert isinstance(prepared, StreamedData)
        return prepared

    return make


@pytest.fixture(scope="module")
def stored(prepared_dir: Path) -> dict[str, list[tuple[np.ndarray, int]]]:
    """Pixels and label of every stored image, read without this library."""

    def images(split: str) -> Iterator[tuple[np.ndarray, int]]:
        for path in sorted((prepared_dir / "photos").glob(f"{split}-*.arrow")):
            for row in pa.ipc.open_file(path).read_all().to_pylist():
                yield np.asarray(PIL.Image.open(io.BytesIO(row["image"]))), row["label"]

    return {split: list(images(split)) for split in ("train", "test")}


def epoch(
    data: StreamedData,
    order: Tensor | None = None,
    batch_size: int = 5,
    augmentation: Any = "resized-crop",
    share: slice = slice(None),
    seed: int = 0,
    start: int = 0,
) -> list[Batch]:
    return list(
        data.train_batches(
            torch.arange(data.count("train")) if order is None else order,
            batch_size=batch_size,
            augmentation=augmentation,
            generator=stream(seed, "augmentation", 1),
            share=share,
            start=start,
        )
    )


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for ours, theirs in zip(first, second, strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    image = PIL.Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size, size), PIL.Image.Resampling.BILINEAR))


def as_bytes(images: Tensor) -> np.ndarray:
    """Pixel values of images that were brought to 0 to 1."""
    return (images * 255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)


@pytest.mark.parametrize(
    ("repeated", "batch_size", "sizes"),
    [(1, 5, [5, 5, 5, 2]), (6, 70, [70, 32])],  # a worker hands over 32 images at once
)
def test_random_crops_are_those_of_plain_pillow(
    make: Make, stored: dict[str, list], repeated: int, batch_size: int, sizes: list[int]
) -> None:
    data = make(normalisation="unit")
    order = torch.randperm(NUM_TRAIN, generator=stream(1, "order")).repeat(repeated)
    generator = stream(0, "augmentation", 1)
    batches = epoch(data, order, batch_size)
    assert [len(labels) for _, labels in batches] == sizes
    for rows, (images, labels) in zip(order.split(batch_size), batches, strict=True):
        originals = [stored["train"][row] for row in rows]
        shapes = torch.tensor([pixels.shape[:2] for pixels, _ in originals])
        boxes = random_boxes(shapes, generator=generator).tolist()
        for (pixels, label), box, image, ours in zip(
            originals, boxes, as_bytes(images), labels, strict=True
        ):
            left, top, right, bottom = box
            assert np.array_equal(image, resized(pixels[top:bottom, left:right], SIZE))
            assert label == ours


@pytest.mark.parametrize("size", [SIZE, 224])
def test_evaluation_and_no_augmentation_take_the_middle(
    make: Make, stored: dict[str, list], size: int
) -> None:
    data = make(normalisation="unit", image_size=size)
    parts = {"test": list(data.batches("test", batch_size=3))}
    parts["train"] = epoch(data, augmentation="none")
    for part, batches in parts.items():
        images = np.concatenate([as_bytes(images) for images, _ in batches])
        labels = torch.cat([labels for _, labels in batches]).tolist()
        assert labels == [label for _, label in stored[part]]
        for image, (pixels, _) in zip(images, stored[part], strict=True):
            wanted = round(min(pixels.shape[:2]) * 224 / 256)
            top, left = (round((side - wanted) / 2) for side in pixels.shape[:2])
            middle = pixels[top : top + wanted, left : left + wanted]
            assert np.array_equal(image, resized(middle, size))


def test_mean_and_deviation_are_those_of_the_images_used(
    make: Make, stored: dict[str, list]
) -> None:
    wanted = {"num_train": 9, "num_validation": 3, "split_seed": 4}
    data = make(normalisation="channel", **wanted)
    used = data.parts["train"].rows
    assert len(used) == 9
    pixels = np.concatenate([stored["train"][row][0].reshape(-1, 3) for row in used]) / 255
    assert data.mean.flatten().numpy() == pytest.approx(pixels.mean(axis=0), rel=1e-12)
    assert data.deviation.flatten().numpy() == pytest.approx(pixels.std(axis=0), rel=1e-9)
    scaled = torch.cat([images for images, _ in data.batches("test", batch_size=3)])
    plain = torch.cat([x for x, _ in make(normalisation="unit").batches("test", batch_size=3)])
    assert torch.allclose(scaled * data.deviation + data.mean, plain.double(), atol=1e-6)


def test_the_draw_is_that_of_images_in_memory(make: Make) -> None:
    data = make(num_train=6, num_validation=4, split_seed=2)
    assert [data.count(part) for part in ("train", "validation", "test")] == [6, 4, 8]
    validation = torch.randperm(NUM_TRAIN, generator=stream(2, "validation split"))[:4]
    order = torch.randperm(NUM_TRAIN, generator=stream(2, "training subset")).tolist()
    train = [row for row in order if row not in validation.tolist()][:6]
    assert data.parts["train"].rows.tolist() == sorted(train)
    assert data.parts["validation"].rows.tolist() == sorted(validation.tolist())
    everything = make(num_validation=4, split_seed=2)
    assert everything.count("train") == NUM_TRAIN - 4


def test_without_validation_images_there_is_no_batch(make: Make) -> None:
    assert list(make().batches("validation", batch_size=3)) == []


def test_the_number_of_workers_changes_nothing(make: Make) -> None:
    expected = epoch(make(workers=0))
    for workers in (1, 2):
        data = make(workers=workers)
        assert_same(epoch(data), expected)
        ours = list(data.batches("test", batch_size=3))
        assert_same(ours, list(make().batches("test", batch_size=3)))


def test_batches_larger_than_what_a_worker_hands_over(make: Make) -> None:
    order = torch.arange(NUM_TRAIN).repeat(6)
    expected = epoch(make(), order, batch_size=70)
    assert_same(epoch(make(workers=2), order, batch_size=70), expected)


def test_shares_are_parts_of_the_whole(make: Make) -> None:
    data = make()
    whole = epoch(data, batch_size=4)  # 4, 4, 4, 4, 1
    shares = [epoch(data, batch_size=4, share=slice(rank, None, 2)) for rank in range(2)]
    for (images, labels), *own in zip(whole, *shares, strict=True):
        for rank, (some_images, some_labels) in enumerate(own):
            assert torch.equal(some_images, images[rank::2])
            assert torch.equal(some_labels, labels[rank::2])
    assert shares[1][-1][0].shape == (0, 3, SIZE, SIZE)


@pytest.mark.parametrize("augmentation", ["resized-crop", "none"])
def test_the_rest_of_an_epoch_has_its_crops_and_nothing_else_is_decoded(
    make: Make, monkeypatch: pytest.MonkeyPatch, augmentation: Any
) -> None:
    whole, decoded = epoch(make(), augmentation=augmentation), []
    opened = PIL.Image.open

    def noting(*arguments: Any, **options: Any) -> PIL.Image.Image:
        decoded.append(arguments)
        return opened(*arguments, **options)

    monkeypatch.setattr(PIL.Image, "open", noting)
    for start in (0, 5, 10, 15):
        assert_same(epoch(make(), augmentation=augmentation, start=start), whole[start // 5 :])
        assert len(decoded) == NUM_TRAIN - start
        decoded.clear()
    assert epoch(make(), augmentation=augmentation, start=NUM_TRAIN) == []
    assert_same(epoch(make(workers=2), augmentation=augmentation, start=10), whole[2:])
    share = slice(1, None, 2)
    rest = epoch(make(), augmentation=augmentation, start=10, share=share)
    assert_same(rest, [(images[share], labels[share]) for images, labels in whole[2:]])


def test_another_seed_gives_other_crops(make: Make) -> None:
    data = make()
    assert not torch.equal(epoch(data)[0][0], epoch(data, seed=1)[0][0])


def test_every_use_of_an_image_has_a_crop_of_its_own(make: Make) -> None:
    data = make(normalisation="unit")
    same_image = epoch(data, torch.zeros(40, dtype=torch.int64), batch_size=40)[0][0]
    assert len({image.numpy().tobytes() for image in same_image}) == 40


@pytest.mark.parametrize("workers", [0, 1])
def test_no_global_generator_is_touched(make: Make, workers: int) -> None:
    data = make(workers=workers)

    def state() -> tuple[Any, ...]:
        numpy = repr(np.random.get_state(legacy=False))  # noqa: NPY002
        return bytes(torch.get_rng_state().tolist()), numpy, random.getstate()

    before = state()
    epoch(data)
    list(data.batches("test", batch_size=3))
    assert state() == before


def test_by_default_there_are_as_many_workers_as_threads(prepared_dir: Path) -> None:
    data = load_large("photos", data_dir=prepared_dir, image_size=SIZE)
    prepared = prepare(data, Preprocessing(dataset="photos", image_size=SIZE))
    assert isinstance(prepared, StreamedData)
    assert prepared.workers == torch.get_num_threads()


def test_to_a_device(make: Make) -> None:
    data = make().to("cpu")
    assert data.device == torch.device("cpu")
    assert data.num_classes == 2


@pytest.mark.parametrize("augmentation", ["crop", "crop-flip"])
def test_augmentations_of_small_images_are_refused(make: Make, augmentation: Any) -> None:
    with pytest.raises(InputError, match=f"{augmentation}.*use 'resized-crop' or 'none'"):
        make().check_augmentation(augmentation)
    make().check_augmentation("none")
    make().check_augmentation("resized-crop")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"image_size": None}, "image_size is None.*use 224"),
        ({"image_size": 257}, "image_size is 257.*up to 256"),
        ({"normalisation": "pixel"}, 'use "channel" or "unit"'),
        ({"num_train": 18}, "num_train = 18.*17 training images"),
        ({"workers": -1}, "workers is -1"),
    ],
)
def test_what_large_images_do_not_have_is_refused(
    make: Make, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        make(**wrong)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_shard_that_was_damaged_later(
    make: Make, prepared_dir: Path, tmp_path: Path, workers: int
) -> None:
    shutil.copytree(prepared_dir, tmp_path / "copy")
    large = load_large("photos", data_dir=tmp_path / "copy", image_size=SIZE)
    data = prepare(large, Preprocessing(dataset="photos", image_size=SIZE), workers=workers)
    shard = tmp_path / "copy" / "photos" / "train-00000.arrow"
    content = bytearray(shard.read_bytes())
    start = content.index(b"\xff\xd8\xff")  # where the first JPEG begins
    content[start : start + 20] = bytes(20)
    shard.write_bytes(content)
    assert isinstance(data, StreamedData)
    with pytest.raises(InputError, match=r"image 0 of .*train-00000.arrow cannot be decoded"):
        epoch(data)
