"""Datasets of arrays."""

from typing import Any

import numpy as np
import pytest
import torch

from wider.data import ImageData, Preprocessing, TableData, TextData, from_arrays, load, prepare
from wider.errors import InputError

GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, (6, 3, 4, 5), dtype=np.uint8)
GREYS = PIXELS[:, 0]
NUMBERS = GENERATOR.normal(size=(6, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("as_tensor", [False, True])
def test_images(*, as_tensor: bool):
    arrays: Any = (PIXELS, LABELS.astype(np.uint8)), (PIXELS[:2], LABELS[:2])
    if as_tensor:
        arrays = tuple(tuple(map(torch.from_numpy, pair)) for pair in arrays)
    data = from_arrays(*arrays, name="mine")
    assert isinstance(data, ImageData)
    assert np.array_equal(data.train.images, PIXELS)
    assert data.test.labels.tolist() == [0, 1]
    assert data.train.labels.dtype == torch.int64
    assert (data.name, data.classes, data.encoding) == ("mine", ("0", "1", "2"), "array")
    assert prepare(data, Preprocessing()).task == data.task
    named = from_arrays(*arrays, classes=["a", "b", "c"])
    assert isinstance(named, ImageData)
    assert named.classes == ("a", "b", "c")
    assert named.digest != data.digest


def test_grey_images_are_as_those_of_a_dataset():
    data = from_arrays((GREYS, LABELS), (GREYS, LABELS))
    assert isinstance(data, ImageData)
    assert data.image_shape == (1, 4, 5)
    digits = load("digits")
    again = from_arrays(
        (digits.train.images, digits.train.labels), (digits.test.images, digits.test.labels)
    )
    assert again.digest == digits.digest


def test_features_with_labels_or_numbers():
    classes = from_arrays((NUMBERS, LABELS), (NUMBERS, LABELS))
    assert isinstance(classes, TableData)
    assert (classes.task.output, classes.task.num_outputs) == ("classes", 3)
    numbers = from_arrays((NUMBERS, NUMBERS[:, 0]), (NUMBERS, NUMBERS[:, 0]))
    assert (numbers.task.output, numbers.task.num_outputs) == ("numbers", 1)
    assert from_arrays((NUMBERS, NUMBERS), (NUMBERS, NUMBERS)).task.num_outputs == 3
    half = NUMBERS.astype(np.float32)
    assert from_arrays((half, LABELS), (NUMBERS, LABELS)).task == classes.task


def test_tokens():
    data = from_arrays(np.array([3, 1, 2]), np.array([0, 4]), validation=np.array([1, 5]))
    assert isinstance(data, TextData)
    assert (data.vocabulary, data.train.tolist(), data.num_train) == (6, [3, 1, 2], 3)
    assert data.validation is not None
    data = from_arrays(torch.tensor([3, 1], dtype=torch.uint8), torch.tensor([3, 1]).byte())
    assert isinstance(data, TextData)
    assert data.vocabulary == 256


def test_digests_change_with_content():
    made = [
        from_arrays((NUMBERS, LABELS), (NUMBERS, LABELS)),
        from_arrays((NUMBERS, LABELS), (NUMBERS + 1, LABELS)),
        from_arrays((NUMBERS, LABELS), (NUMBERS, LABELS), classes=["a", "b", "c"]),
        from_arrays(LABELS, LABELS),
        from_arrays(LABELS, LABELS, validation=LABELS),
        from_arrays(LABELS + 1, LABELS),
    ]
    assert len({data.digest for data in made}) == len(made)
    assert made[0].digest == from_arrays((NUMBERS, LABELS), (NUMBERS, LABELS), name="x").digest


NAN = np.where(np.arange(18).reshape(6, 3) == 7, np.nan, NUMBERS)


@pytest.mark.parametrize(
    ("train", "test", "options", "said"),
    [
        ((PIXELS, LABELS[:5]), None, {}, r"train has inputs of shape \(6, 3, 4, 5\) and targets"),
        ((PIXELS / 255, LABELS), None, {}, "train is torch.float64 of shape .*uint8"),
        ((PIXELS, LABELS / 2), None, {}, "train is torch.uint8 of shape"),
        ((PIXELS.reshape(6, -1), LABELS), None, {}, r"images have the shape \(6, 60\)"),
        ((NUMBERS.astype(int), LABELS), None, {}, "train is torch.int64 of shape"),
        ((NUMBERS, LABELS + 1), None, {}, "3 different numbers from 1 to 3: number the classes"),
        ((NUMBERS, LABELS), None, {"classes": ["a", "b"]}, "are 2 classes .* is the label 2"),
        ((NUMBERS, LABELS), None, {"classes": ["a", "a", "b"]}, "3 classes .2 different"),
        ((NUMBERS, LABELS), (NUMBERS, LABELS + 1), {}, "and there is the label 3"),
        ((NUMBERS, LABELS * 0), None, {}, "two or more are needed"),
        ((NUMBERS, LABELS), (NUMBERS, NUMBERS[:, 0]), {}, "targets of train and test are of other"),
        ((NUMBERS, LABELS), (NUMBERS[:, :2], LABELS), {}, "train and test have other shapes"),
        ((NUMBERS, NUMBERS), None, {"classes": ["a", "b"]}, "and classes: use"),
        ((NUMBERS, LABELS[:, None]), None, {}, r"labels are torch.int64 of shape \(6, 1\)"),
        ((NAN, LABELS), None, {}, "Row 2 of train, column '1', is nan, and only finite"),
        ((NUMBERS, NAN), None, {}, "Row 2 of train, column 'target 1', is nan"),
        ((NUMBERS, LABELS), None, {"validation": LABELS}, "leave validation out and set num_valid"),
        ((NUMBERS, LABELS), LABELS, {}, "train has targets: give test the same"),
        (LABELS, (NUMBERS, LABELS), {}, "train is tokens alone"),
        (LABELS - 1, None, {}, "tokens are whole numbers from 0 in a row"),
        (NUMBERS[:, 0], None, {}, "tokens are whole numbers from 0 in a row"),
        (LABELS[:0], None, {}, r"train is torch.int64 of shape \(0,\)"),
        (np.array(["a"]), None, {}, "train is no array of numbers"),
    ],
)
def test_what_does_not_go_together_is_refused(train: Any, test: Any, options: Any, said: str):
    with pytest.raises(InputError, match=said):
        from_arrays(train, train if test is None else test, **options)
