"""Transformations of scaled inputs, by name."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wider.data import (
    TRANSFORMATIONS,
    InMemoryData,
    PreparedData,
    Preprocessing,
    at_hand,
    from_arrays,
    load,
    load_for,
    prepare,
)
from wider.errors import InputError
from wider.own_code import look_in

NAMES = list(TRANSFORMATIONS)
DATASETS = ["digits", "breast-cancer", "diabetes"]


def made(dataset: str, *transformations: Any, **wanted: Any) -> InMemoryData:
    table = {"dataset": dataset, "transformations": transformations, **wanted}
    preprocessing = Preprocessing.model_validate(table)
    prepared = prepare(at_hand(preprocessing), preprocessing)
    assert isinstance(prepared, InMemoryData)
    return prepared


def inputs(data: InMemoryData, part: Any = "train") -> np.ndarray:
    return data.part(part)[0].flatten(1).double().numpy()


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", NAMES)
def test_every_transformation_keeps_its_promises(name: str, dataset: str):
    plain = made(dataset, num_train=200, num_validation=40)
    done = made(dataset, name, num_train=200, num_validation=40)
    again = made(dataset, name, num_train=200, num_validation=40)
    preprocessing = Preprocessing.model_validate({"dataset": dataset, "transformations": [name]})
    assert done.task == at_hand(preprocessing).task == load_for(preprocessing).task
    for part in ("train", "validation", "test"):
        before, targets = plain.part(part)
        after, same = done.part(part)
        assert torch.equal(targets, same)
        assert torch.equal(after, again.part(part)[0])
        assert after.dtype == torch.float32
        assert (len(after), *after.shape[1:]) == (len(before), *done.task.shape)
        assert after.isfinite().all()
    assert not np.array_equal(inputs(plain)[:, :10], inputs(done)[:, :10]) or name.startswith("n")


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_fitted_is_fitted_on_the_training_examples_that_are_used(name: str, dataset: str):
    """Another test or validation set changes nothing, another training set does."""
    some = made(dataset, name, num_train=100, num_validation=50)
    preprocessing = Preprocessing.model_validate(
        {"dataset": dataset, "transformations": [name], "num_train": 100, "num_validation": 50}
    )
    data: Any = at_hand(preprocessing)
    fewer: Any = type(data)(**{**vars(data), "test": type(data.test)(*(
        value[:5] for value in vars(data.test).values()
    ))})  # fmt: skip
    cut = prepare(fewer, preprocessing)
    assert torch.equal(some.part("train")[0], cut.part("train")[0])  # pyright: ignore
    before, after = (each.part("test")[0].flatten(1)[:5, :10] for each in (some, cut))  # pyright: ignore
    assert torch.allclose(before, after, atol=1e-6)


@pytest.mark.parametrize("kind", ["pca", "zca"])
def test_whitened_training_inputs_have_the_identity_as_covariance(kind: str):
    whiten = {"name": "whiten", "kind": kind, "epsilon": 0}
    done = made("breast-cancer", whiten, num_train=300)
    rows = inputs(done)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.T @ rows / 300, np.eye(30), atol=2e-4)
    test = inputs(done, "test")
    assert not np.allclose(test.T @ test / len(test), np.eye(30), atol=0.1)


def test_whitening_against_the_inverse_root_of_the_covariance():
    plain = inputs(made("diabetes"))
    covariance = plain.T @ plain / len(plain)
    values, vectors = np.linalg.eigh(covariance)
    zca = vectors / np.sqrt(values + 0.1) @ vectors.T
    options = {"name": "whiten", "epsilon": 0.1}
    np.testing.assert_allclose(inputs(made("diabetes", options)), plain @ zca, atol=1e-5)
    pca = inputs(made("diabetes", {**options, "kind": "pca"}))
    expected = (plain @ vectors / np.sqrt(values + 0.1))[:, ::-1]
    np.testing.assert_allclose(np.abs(pca), np.abs(expected), atol=1e-5)
    assert np.all(np.diff(pca.var(0)) < 0)  # the largest variance first


def test_whitened_images_are_images_and_have_no_black():
    done = made("digits", "whiten")
    assert isinstance(done, PreparedData)
    assert done.task.shape == (1, 8, 8)
    assert done.task.input == "images"
    done.check_augmentation("none")
    with pytest.raises(InputError, match=r"no such colour: .*no transformations that mix pixels"):
        done.check_augmentation("crop")
    made("digits", "permute").check_augmentation("crop")


def test_nothing_is_divided_by_zero():
    with pytest.raises(InputError, match=r"whiten with epsilon 0.* divides by 0: of 64 features"):
        made("digits", {"name": "whiten", "epsilon": 0})
    made("digits", "whiten", num_train=20)


@settings(max_examples=20)
@given(seed=st.integers(-(2**63), 2**63 - 1))
def test_a_rotation_is_orthogonal_and_keeps_norms(seed: int):
    plain, turned = made("diabetes"), made("diabetes", {"name": "rotate", "seed": seed})
    for part in ("train", "test"):
        before, after = inputs(plain, part), inputs(turned, part)
        np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-4)
    matrix = np.linalg.lstsq(inputs(plain), inputs(turned), rcond=None)[0]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(10), atol=1e-5)


def test_rotations_are_uniform():
    """The first entry of a uniform orthogonal matrix of size d has mean 0 and variance 1 / d."""
    rotations = [TRANSFORMATIONS.make("rotate", {"seed": seed}) for seed in range(400)]
    first = torch.tensor(
        [rotation.fit(torch.zeros(1, 4))(torch.eye(4), "train")[0, 0] for rotation in rotations]
    )
    assert abs(first.mean()) < 5 * 0.5 / 20
    assert abs(first.square().mean() - 0.25) < 0.1


@given(seed=st.integers(0, 100))
def test_a_permutation_moves_pixels_with_their_colours(seed: int):
    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(2, 3, 4, 5)
    change = TRANSFORMATIONS.make("permute", {"seed": seed}).fit(images)
    after = change(images, "train")
    order = after[0, 0].flatten().long()
    assert sorted(order.tolist()) == list(range(20))
    assert torch.equal(after.flatten(2), images.flatten(2)[..., order])
    assert not torch.equal(after, images)


def test_noise_features_are_new_ones_and_the_old_ones_stay():
    plain, done = made("digits"), made("digits", {"name": "noise-features", "count": 36})
    assert (done.task.input, done.task.shape, done.task.num_outputs) == ("features", (100,), 10)
    noise = []
    for part in ("train", "test"):
        before, after = inputs(plain, part), inputs(done, part)
        assert np.array_equal(after[:, :64], before)
        noise.append(after[:, 64:])
    every = np.concatenate(noise)
    assert len(np.unique(every)) > 0.99 * every.size  # no example has another one's
    assert abs(every.mean()) < 5 / np.sqrt(every.size)
    assert abs(every.var() - 1) < 5 * np.sqrt(2 / every.size)
    other = made("digits", {"name": "noise-features", "count": 36, "seed": 1})
    assert not np.array_equal(inputs(other)[:, 64:], noise[0])


def test_transformations_are_applied_in_order():
    both = made("diabetes", {"name": "noise-features", "count": 5}, "whiten")
    rows = inputs(both)
    assert both.task.shape == (15,)
    np.testing.assert_allclose(rows.T @ rows / len(rows), np.eye(15), atol=0.01)
    other = made("diabetes", "whiten", {"name": "noise-features", "count": 5})
    assert not np.allclose(inputs(other), rows)


def test_augmentation_of_features_of_images_is_refused():
    with pytest.raises(InputError, match="augmentation 'crop' pads images with black"):
        made("digits", "noise-features").check_augmentation("crop")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    look_in(tmp_path)
    (tmp_path / "own_changes.py").write_text(
        "def less_mean(train, factor=1.0):\n"
        "    mean = train.mean(0)\n"
        "    return lambda inputs: (inputs - mean) * factor\n"
        "def flat(train):\n"
        "    return lambda inputs: inputs.flatten(1)\n"
    )
    yield tmp_path
    sys.modules.pop("own_changes", None)


def test_ones_own_transformation(own: Path):
    change = {"name": "own_changes:less_mean", "options": {"factor": 2.0}}
    done, plain = made("digits", change, normalisation="unit"), made("digits", normalisation="unit")
    expected = 2 * (inputs(plain, "test") - inputs(plain).mean(0))
    np.testing.assert_allclose(inputs(done, "test"), expected, atol=1e-5)
    assert done.task.shape == (1, 8, 8)
    preprocessing = Preprocessing.model_validate({"transformations": [change]})
    assert Preprocessing.model_validate_json(preprocessing.model_dump_json()) == preprocessing
    assert preprocessing in {preprocessing}
    with pytest.raises(InputError, match=r"own_changes:flat' made .* of shape \(1297, 64\) of"):
        made("digits", "own_changes:flat")
    with pytest.raises(InputError, match="no module 'gone_changes'"):
        made("digits", "gone_changes:flat")


@pytest.mark.parametrize(
    ("transformation", "said"),
    [
        ("bleach", "unknown transformation 'bleach'; use 'whiten', 'rotate', 'permute'"),
        ({"name": "whiten", "kind": "lda"}, "'pca' or 'zca'"),
        ({"name": "whiten", "epsilon": -1.0}, "epsilon is -1.0: use 0 or more"),
        ({"name": "rotate", "seed": 2**63}, "less than or equal to"),
        ({"name": "noise-features", "count": 0}, "count is 0: use 1 to 1,000,000"),
        ({"name": "permute", "epsilon": 1}, "Extra inputs"),
    ],
)
def test_a_transformation_that_there_is_not(transformation: Any, said: str):
    with pytest.raises(ValidationError, match=said):
        Preprocessing.model_validate({"transformations": [transformation]})


def test_large_images_are_not_transformed(prepared_dir: Path):
    table = {"dataset": "photos", "image_size": 8, "transformations": ["whiten"]}
    with pytest.raises(InputError, match=r"transformations is .*photos is of large images"):
        load_for(Preprocessing.model_validate(table), data_dir=prepared_dir)


@pytest.mark.parametrize("name", NAMES)
def test_a_preprocessing_is_written_and_read_again(name: str):
    preprocessing = Preprocessing.model_validate({"transformations": [name]})
    assert Preprocessing.model_validate_json(preprocessing.model_dump_json()) == preprocessing
    assert preprocessing.as_loaded == preprocessing
    assert preprocessing.as_read == Preprocessing()
    assert hash(preprocessing) == hash(Preprocessing.model_validate({"transformations": [name]}))


def test_images_without_transformations_are_as_they_were():
    plain = prepare(load("digits"), Preprocessing())
    assert plain.black is not None
    table = from_arrays((np.eye(4), np.arange(4.0)), (np.eye(4), np.arange(4.0)))
    assert prepare(table, Preprocessing()).task.shape == (4,)
