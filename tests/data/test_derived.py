"""Datasets made of others, by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

from wider.data import ImageData, Preprocessing, load, load_for
from wider.errors import InputError

PIXELS = torch.tensor([[[0, 4], [8, 100]], [[255, 255], [255, 254]], [[1, 2], [3, 4]]])

Made = Callable[..., ImageData]


@pytest.fixture
def made(data_dir: Path, write: Callable[..., Path], encode: Callable[..., bytes]) -> Made:
    """What becomes of three images of the classes c, a and b."""

    def made(pixels: torch.Tensor = PIXELS, **wanted: Any) -> ImageData:
        images = [{"bytes": encode(one), "path": None} for one in pixels.byte().numpy()]
        for split in ("train", "test"):
            write(
                split,
                {"image": images, "label": [2, 0, 1]},
                image=datasets.Image(),
                label=datasets.ClassLabel(names=["a", "b", "c"]),
            )
        data = load_for(Preprocessing(dataset="small", **wanted), data_dir=data_dir)
        assert isinstance(data, ImageData)
        return data

    return made


def test_nothing_to_do_is_the_same_dataset(made: Made, data_dir: Path):
    assert made().digest == load("small", data_dir=data_dir).digest


def test_images_are_shrunk_by_averaging(made: Made):
    shrunk = made(shrunk_to=1)
    assert shrunk.train.images.flatten().tolist() == [28, 255, 2]  # 28, 254.75 and 2.5, to even
    assert shrunk.image_shape == (1, 1, 1)
    assert shrunk.digest != made().digest


def test_colours_become_their_brightness(made: Made):
    colours = torch.zeros(3, 1, 1, 3)
    for channel in range(3):
        colours[channel, :, :, channel] = 200
    grey = made(colours, grey=True)
    assert grey.test.images.flatten().tolist() == [60, 117, 23]  # 59.8, 117.4, 22.8
    assert torch.equal(made(grey=True).train.images, PIXELS[:, None].byte())  # grey already


def test_chosen_classes_are_numbered_anew_in_the_order_asked_for(made: Made):
    chosen = made(classes=(2, 0))
    assert chosen.classes == ("c", "a")
    assert chosen.num_classes == 2
    assert chosen.train.labels.tolist() == [0, 1]
    assert torch.equal(chosen.train.images, PIXELS[:2, None].byte())


@pytest.mark.parametrize("classes", [(0, 3), (-1, 0), (1, 1), (1,)])
def test_classes_that_there_are_not_are_refused(made: Made, classes: tuple[int, ...]):
    with pytest.raises(InputError, match="use two or more different ones from 0 to 2"):
        made(classes=classes)


@pytest.mark.parametrize("size", [2, 3])
def test_images_are_not_enlarged(made: Made, size: int):
    with pytest.raises(InputError, match=f"shrunk_to is {size}, but .* have 2x2 pixels: use fewer"):
        made(shrunk_to=size)


def test_large_images_are_not_made_into_others(tmp_path: Path):
    wanted = Preprocessing(dataset="photos", image_size=32, grey=True)
    with pytest.raises(
        InputError, match=r"grey is True, but photos is of large images, .*leave grey out"
    ):
        load_for(wanted, data_dir=tmp_path)


def test_half_of_the_digits():
    half = load_for(Preprocessing(dataset="digits", classes=(0, 1, 2, 3, 4), shrunk_to=4))
    assert isinstance(half, ImageData)
    assert half.image_shape == (1, 4, 4)
    assert half.num_classes == 5
    assert set(half.train.labels.tolist()) == set(range(5))
    assert 600 < half.num_train < 700
