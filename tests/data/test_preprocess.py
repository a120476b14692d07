"""Drawing images and scaling pixels."""

from typing import Any

import numpy as np
import pydantic
import pytest
import torch
import tyro
from hypothesis import given
from hypothesis import strategies as st

from wider.data import Batch, ImageData, PreparedData, Preprocessing, from_arrays, prepare
from wider.errors import InputError
from wider.randomness import stream

NUM_IMAGES = 40


def image_data(train: np.ndarray, test: np.ndarray) -> ImageData:
    """Images whose labels are their positions, so that a draw can be read off the labels."""
    pairs = ((pixels, np.arange(len(pixels))) for pixels in (train, test))
    data = from_arrays(*pairs, name="made up")
    assert isinstance(data, ImageData)
    return data


def random_images(num_images: int, *, seed: int = 0) -> np.ndarray:
    shape = (num_images, 3, 4, 5)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


DATA = image_data(random_images(NUM_IMAGES), random_images(7, seed=1))


def prepared(**wanted: Any) -> PreparedData:
    return prepare(DATA, Preprocessing(**wanted))


def test_channel_normalisation_by_hand() -> None:
    train = np.array([[[[0, 255]]], [[[255, 0]]]], dtype=np.uint8)
    test = np.array([[[[51, 255]]]], dtype=np.uint8)
    result = prepare(image_data(train, test), Preprocessing())
    # Scaled to 0..1 the training pixels are 0, 1, 1, 0: mean 0.5, standard deviation 0.5.
    assert result.train_images.flatten().tolist() == [-1, 1, 1, -1]
    assert result.test_images.flatten().tolist() == pytest.approx([-0.6, 1])


def test_pixel_normalisation_by_hand() -> None:
    train = np.array([[[[0, 51]]], [[[255, 51]]]], dtype=np.uint8)
    test = np.array([[[[51, 255]]]], dtype=np.uint8)
    result = prepare(image_data(train, test), Preprocessing(normalisation="pixel"))
    # The second pixel is always 0.2, so it is only shifted: 1 becomes 0.8.
    assert result.train_images.flatten().tolist() == pytest.approx([-1, 0, 1, 0])
    assert result.test_images.flatten().tolist() == pytest.approx([-0.6, 0.8])


def test_unit_normalisation_by_hand() -> None:
    train = np.array([[[[0, 51]]], [[[255, 102]]]], dtype=np.uint8)
    result = prepare(image_data(train, train), Preprocessing(normalisation="unit"))
    assert result.train_images.flatten().tolist() == pytest.approx([0, 0.2, 1, 0.4])


@pytest.mark.parametrize(("normalisation", "axes"), [("channel", (0, 2, 3)), ("pixel", (0,))])
def test_statistics_are_those_of_the_training_images_in_use(
    normalisation: str, axes: tuple[int, ...]
) -> None:
    train = random_images(200)  # more than one chunk
    data = image_data(train, random_images(7, seed=1))
    wanted = Preprocessing.model_validate(
        {"normalisation": normalisation, "num_train": 150, "num_validation": 30}
    )
    result = prepare(data, wanted)
    used = train[result.train_labels] / 255
    mean, deviation = used.mean(axis=axes, keepdims=True), used.std(axis=axes, keepdims=True)
    held_out = train[result.validation_labels] / 255
    test = data.test.images.numpy() / 255
    for ours, pixels in (
        (result.train_images, used),
        (result.validation_images, held_out),
        (result.test_images, test),
    ):
        assert ours.dtype == torch.float32
        np.testing.assert_allclose(ours, (pixels - mean) / deviation, rtol=1e-5, atol=1e-6)


def test_statistics_may_be_those_of_all_training_images():
    every = prepared(normalisation="pixel")
    some = prepared(normalisation="pixel", num_train=20, num_validation=10, scaled_by="all")
    assert torch.equal(some.test_images, every.test_images)
    assert len(some.train_images) == 20
    own = prepared(normalisation="pixel", num_train=20, num_validation=10)
    assert not torch.equal(own.test_images, every.test_images)


@pytest.mark.parametrize("normalisation", ["channel", "pixel"])
def test_what_never_varies_becomes_zero(normalisation: str) -> None:
    every_value = np.arange(256, dtype=np.uint8)[:, None, None]  # one for each channel
    images = np.broadcast_to(every_value, (70, 256, 2, 2)).copy()
    wanted = Preprocessing.model_validate({"normalisation": normalisation})
    assert prepare(image_data(images, images), wanted).test_images.abs().max() < 1e-7


@given(
    num_train=st.none() | st.integers(1, NUM_IMAGES),
    num_validation=st.integers(0, NUM_IMAGES - 1),
    split_seed=st.integers(-(2**63), 2**63 - 1),
)
def test_draws_are_of_the_asked_size_apart_and_in_order(
    num_train: int | None, num_validation: int, split_seed: int
) -> None:
    if num_train is not None:
        num_validation = min(num_validation, NUM_IMAGES - num_train)
    wanted = {"num_train": num_train, "num_validation": num_validation, "split_seed": split_seed}
    result, again = prepared(**wanted), prepared(**wanted)
    train, validation = result.train_labels.tolist(), result.validation_labels.tolist()
    assert len(train) == (NUM_IMAGES - num_validation if num_train is None else num_train)
    assert len(validation) == num_validation
    assert not set(train) & set(validation)
    assert train == sorted(set(train))
    assert validation == sorted(set(validation))
    assert (train, validation) == (again.train_labels.tolist(), again.validation_labels.tolist())
    assert result.test_labels.tolist() == list(range(7))


@given(
    sizes=st.tuples(st.integers(1, 20), st.integers(1, 20)).map(sorted),
    num_validation=st.integers(0, 20),
    split_seed=st.integers(0, 100),
)
def test_smaller_training_subsets_are_part_of_larger_ones(
    sizes: list[int], num_validation: int, split_seed: int
) -> None:
    smaller, larger = (
        prepared(num_train=size, num_validation=num_validation, split_seed=split_seed)
        for size in sizes
    )
    assert set(smaller.train_labels.tolist()) <= set(larger.train_labels.tolist())
    assert torch.equal(smaller.validation_labels, larger.validation_labels)


@given(
    sizes=st.tuples(st.integers(0, 39), st.integers(0, 39)).map(sorted),
    split_seed=st.integers(0, 100),
)
def test_smaller_validation_sets_are_part_of_larger_ones(sizes: list[int], split_seed: int) -> None:
    smaller, larger = (prepared(num_validation=size, split_seed=split_seed) for size in sizes)
    assert set(smaller.validation_labels.tolist()) <= set(larger.validation_labels.tolist())


def test_another_seed_draws_other_images() -> None:
    draws = [prepared(num_train=20, num_validation=10, split_seed=seed) for seed in (0, 1)]
    assert not torch.equal(draws[0].train_labels, draws[1].train_labels)
    assert not torch.equal(draws[0].validation_labels, draws[1].validation_labels)


def test_drawing_leaves_the_default_generator_alone() -> None:
    before = torch.get_rng_state()
    prepared(num_train=20, num_validation=10)
    assert torch.equal(before, torch.get_rng_state())


def test_every_image_stays_with_its_label_and_the_dataset_as_it_was() -> None:
    before = DATA.train.images.clone()
    result = prepared(normalisation="unit", num_train=20, num_validation=10)
    for images, labels in (
        (result.train_images, result.train_labels),
        (result.validation_images, result.validation_labels),
    ):
        assert torch.equal((images * 255).round().byte(), DATA.train.images[labels])
    assert torch.equal(before, DATA.train.images)


@pytest.mark.parametrize(
    ("num_train", "num_validation", "needed"), [(41, 0, 41), (31, 10, 41), (None, 40, 41)]
)
def test_too_many_images(num_train: int | None, num_validation: int, needed: int) -> None:
    with pytest.raises(InputError) as caught:
        prepared(num_train=num_train, num_validation=num_validation)
    assert str(caught.value) == (
        f"num_train = {num_train} and num_validation = {num_validation} need {needed} images, but "
        "made up has 40 training images. Ask for fewer."
    )


@pytest.mark.parametrize(
    "wrong",
    [{"num_train": 0}, {"num_validation": -1}, {"normalisation": "none"}, {"number": 1}],
    ids=str,
)
def test_preprocessing_refuses_what_it_does_not_know(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(pydantic.ValidationError, match=name):
        Preprocessing(**wrong)


def test_preprocessing_is_frozen() -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Preprocessing().num_validation = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_preprocessing_explains_itself_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tyro.cli(Preprocessing, args=["--num-train", "5"]) == Preprocessing(num_train=5)
    with pytest.raises(SystemExit):
        tyro.cli(Preprocessing, args=["--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for explanation in ("scaled. channel:", "set aside for validation", "the same seed draws"):
        assert explanation in text


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop-flip"])
@pytest.mark.parametrize("share", [slice(None), slice(1, None, 2)])
def test_the_rest_of_an_epoch_is_augmented_as_in_the_whole(augmentation: Any, share: slice) -> None:
    data = prepared()
    count = data.count("train")
    order = torch.randperm(count, generator=stream(0, "order"))

    def epoch(start: int) -> list[Batch]:
        batches = data.train_batches(
            order,
            batch_size=6,
            augmentation=augmentation,
            generator=stream(0, "augmentation"),
            share=share,
            start=start,
        )
        return list(batches)

    whole = epoch(0)
    assert len(whole) == -(-count // 6)
    for start in range(0, count, 6):
        rest = epoch(start)
        for (images, labels), (expected, wanted) in zip(rest, whole[start // 6 :], strict=True):
            assert torch.equal(images, expected)
            assert torch.equal(labels, wanted)
    assert epoch(count) == []


def test_prepared_data_moves_to_a_device_as_a_whole() -> None:
    moved = prepared(num_validation=3).to("meta")
    tensors = [value for value in vars(moved).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 7
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert moved.num_classes == NUM_IMAGES
    assert moved.validation_images.shape == (3, 3, 4, 5)


@pytest.mark.parametrize("normalisation", ["channel", "unit"])
def test_black_is_what_a_black_pixel_becomes(normalisation: str) -> None:
    train = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    train[0, :, 0, 0] = 0
    data = image_data(train, train[:1])
    done = prepare(data, Preprocessing.model_validate({"normalisation": normalisation}))
    assert done.black is not None
    assert torch.equal(done.black, done.train_images[0, :, 0, 0])
    assert prepare(data, Preprocessing(normalisation="pixel")).black is None
