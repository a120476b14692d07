"""The training loop, against plain NumPy and against itself interrupted."""

import random
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from wider.data import PreparedData
from wider.randomness import default_generator_from, stream
from wider.training import Recipe, Trainer

CLASSES, FEATURES = 3, 4


def data(num_train=10, num_test=5, num_validation=3, dtype=torch.float64):
    generator = stream(0, "images")

    def split(count):
        images = torch.randn(count, 1, 2, 2, generator=generator, dtype=dtype)
        return images, torch.randint(CLASSES, (count,), generator=generator)

    return PreparedData(
        *split(num_train), *split(num_test), *split(num_validation), num_classes=CLASSES
    )


def linear(dtype=torch.float64):
    with default_generator_from(0, "tests"):
        return nn.Sequential(nn.Flatten(), nn.Linear(FEATURES, CLASSES)).to(dtype)


def two_layers():
    with default_generator_from(0, "tests"):
        return nn.Sequential(nn.Flatten(), nn.Linear(FEATURES, 6), nn.ReLU(), nn.Linear(6, CLASSES))


class Probe(nn.Module):
    """A linear net that notes each batch it sees, and whether it is in training mode."""

    def __init__(self):
        super().__init__()
        self.net = linear()
        self.seen = []

    def forward(self, images):
        self.seen.append((self.training, images.flatten(1)[:, 0].tolist()))
        return self.net(images)

    def batches(self, training):
        return [numbers for mode, numbers in self.seen if mode == training]


def numbered(num_train):
    """Data whose training images show their own number; the others show -1."""
    plain = data(num_train)
    numbers = torch.arange(num_train).double().reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return replace(
        plain,
        train_images=numbers.contiguous(),
        test_images=torch.full_like(plain.test_images, -1),
        validation_images=torch.full_like(plain.validation_images, -1),
    )


def without_seconds(history):
    return [row._replace(seconds=0.0) for row in history]


def run(trainer):
    while not trainer.finished:
        trainer.run_epoch()
    return trainer


def log_softmax(scores):
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def numpy_scores(images, weight, bias):
    return images.reshape(len(images), -1) @ weight.T + bias


def numpy_judgement(images, labels, weight, bias):
    """Mean loss and accuracy."""
    scores = numpy_scores(images, weight, bias)
    loss = -log_softmax(scores)[np.arange(len(labels)), labels].mean()
    return loss, (scores.argmax(axis=1) == labels).mean()


def numpy_sgd(prepared, recipe, seed, weight, bias):
    """Rows of (train loss and accuracy, test loss and accuracy, validation accuracy)."""
    images, labels = prepared.train_images.numpy(), prepared.train_labels.numpy()
    images = images.reshape(len(images), -1)
    weight_velocity, bias_velocity = np.zeros_like(weight), np.zeros_like(bias)
    rows = []
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(labels), generator=stream(seed, "data order", epoch)).numpy()
        loss, hits = 0.0, 0
        for start in range(0, len(order), recipe.batch_size):
            batch = order[start : start + recipe.batch_size]
            log_probabilities = log_softmax(numpy_scores(images[batch], weight, bias))
            loss -= log_probabilities[np.arange(len(batch)), labels[batch]].sum()
            hits += (log_probabilities.argmax(axis=1) == labels[batch]).sum()
            slope = (np.exp(log_probabilities) - np.eye(CLASSES)[labels[batch]]) / len(batch)
            weight_slope = slope.T @ images[batch] + recipe.weight_decay * weight
            bias_slope = slope.sum(axis=0) + recipe.weight_decay * bias
            weight_velocity = recipe.momentum * weight_velocity + weight_slope
            bias_velocity = recipe.momentum * bias_velocity + bias_slope
            weight = weight - recipe.learning_rate * weight_velocity
            bias = bias - recipe.learning_rate * bias_velocity
        test = numpy_judgement(
            prepared.test_images.numpy(), prepared.test_labels.numpy(), weight, bias
        )
        _, validation = numpy_judgement(
            prepared.validation_images.numpy(), prepared.validation_labels.numpy(), weight, bias
        )
        rows.append((loss / len(labels), hits / len(labels), *test, validation))
    return rows, weight, bias


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=1, batch_size=5, learning_rate=0.5),
        Recipe(epochs=3, batch_size=4, learning_rate=0.5),  # batches of 4, 4 and 2
        Recipe(epochs=3, batch_size=4, learning_rate=0.5, momentum=0.9),
        Recipe(epochs=3, batch_size=4, learning_rate=0.5, weight_decay=0.1),
        Recipe(epochs=3, batch_size=64, learning_rate=0.2, momentum=0.5, weight_decay=0.01),
    ],
)
def test_it_is_sgd(recipe):
    prepared, model = data(), linear()
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    before = layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
    expected, weight, bias = numpy_sgd(prepared, recipe, 7, *before)
    trainer = run(Trainer(model, prepared, recipe, seed=7))
    # Double precision and a few dozen steps: rounding stays far below 1e-12.
    np.testing.assert_allclose(layer.weight.detach().numpy(), weight, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(layer.bias.detach().numpy(), bias, rtol=1e-12, atol=1e-14)
    measured = [
        (
            row.train_loss,
            row.train_accuracy,
            row.test_loss,
            row.test_accuracy,
            row.validation_accuracy,
        )
        for row in trainer.history
    ]
    np.testing.assert_allclose(measured, expected, rtol=1e-12)


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_n_epochs_are_n_rows_numbered_from_1(epochs):
    trainer = run(Trainer(linear(), data(), Recipe(epochs=epochs, learning_rate=0.25), seed=0))
    assert [row.epoch for row in trainer.history] == list(range(1, epochs + 1))
    assert {row.learning_rate for row in trainer.history} == {0.25}


def test_a_row_is_returned_kept_and_timed():
    trainer = Trainer(linear(), data(), Recipe(epochs=2), seed=0)
    start = time.perf_counter()
    rows = (trainer.run_epoch(), trainer.run_epoch())
    elapsed = time.perf_counter() - start
    assert trainer.history == rows
    assert all(row.seconds > 0 for row in rows)
    assert sum(row.seconds for row in rows) <= elapsed


def test_every_epoch_trains_in_training_mode_and_judges_outside_it():
    model = Probe()
    run(Trainer(model, numbered(10), Recipe(epochs=3, batch_size=4), seed=0))
    # An epoch: three batches, then the test images, then the validation images.
    assert [mode for mode, _ in model.seen] == [True, True, True, False, False] * 3
    assert all(number >= 0 for batch in model.batches(True) for number in batch)
    assert all(number == -1 for batch in model.batches(False) for number in batch)


def test_no_gradient_is_kept_in_an_evaluation():
    modes = []

    class Watched(Probe):
        def forward(self, images):
            modes.append((self.training, torch.is_grad_enabled()))
            return super().forward(images)

    Trainer(Watched(), numbered(4), Recipe(), seed=0).run_epoch()
    assert modes == [(True, True), (False, False), (False, False)]


def orders(seed, epochs, num_train=50):
    model = Probe()
    run(Trainer(model, numbered(num_train), Recipe(epochs=epochs, batch_size=8), seed=seed))
    batches = model.batches(True)
    assert [len(batch) for batch in batches] == [8, 8, 8, 8, 8, 8, 2] * epochs
    flat = [int(number) for batch in batches for number in batch]
    return [tuple(flat[start : start + num_train]) for start in range(0, len(flat), num_train)]


def test_each_epoch_shows_each_image_once_in_an_order_of_its_own():
    shown = orders(0, 3) + orders(1, 3)
    assert all(sorted(order) == list(range(50)) for order in shown)
    assert len(set(shown)) == 6  # two alike: once in 50! draws
    assert orders(0, 3) == shown[:3]


def test_without_validation_images_the_validation_accuracy_is_nan():
    row = Trainer(linear(), data(num_validation=0), Recipe(), seed=0).run_epoch()
    assert np.isnan(row.validation_accuracy)
    assert np.isfinite(row.test_loss)


@pytest.mark.parametrize("batch", [1, 2, 5, 7])
def test_the_batch_of_an_evaluation_does_not_change_it(batch, monkeypatch):
    # 7 test images in one batch, or in several of which the last may be smaller.
    recipe = Recipe(epochs=2, batch_size=4)
    expected = run(Trainer(linear(), data(num_test=7), recipe, seed=0)).history
    monkeypatch.setattr("wider.training._trainer.EVALUATION_BATCH", batch)
    history = run(Trainer(linear(), data(num_test=7), recipe, seed=0)).history
    for row, other in zip(history, expected, strict=True):
        assert row.test_loss == pytest.approx(other.test_loss, rel=1e-14)
        assert row._replace(seconds=0, test_loss=0) == other._replace(seconds=0, test_loss=0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("done", [0, 1, 3])
def test_going_on_from_a_state_is_like_never_having_stopped(momentum, done):
    recipe = Recipe(epochs=4, batch_size=4, momentum=momentum, weight_decay=0.01)
    prepared = data(dtype=torch.float32)
    first = Trainer(two_layers(), prepared, recipe, seed=3)
    for _ in range(done):
        first.run_epoch()
    state = {name: tensor.clone() for name, tensor in first.state().items()}
    second = Trainer(two_layers(), prepared, recipe, seed=3)
    second.load_state(state)
    assert second.history == first.history
    run(first)
    run(second)
    assert without_seconds(second.history) == without_seconds(first.history)
    assert state_bytes(second) == state_bytes(first)


def state_bytes(trainer):
    return {
        name: tensor.numpy().tobytes()
        for name, tensor in trainer.state().items()
        if name != "history"  # has the seconds
    }


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_state_stays_what_it_was_while_the_training_goes_on(momentum):
    trainer = Trainer(two_layers(), data(dtype=torch.float32), Recipe(momentum=momentum), seed=0)
    trainer.run_epoch()
    state = trainer.state()
    before = {name: tensor.clone() for name, tensor in state.items()}
    trainer.run_epoch()
    assert [name for name in state if not torch.equal(state[name], before[name])] == []


def test_training_on_does_not_change_the_state_it_went_on_from():
    recipe = Recipe(momentum=0.9)
    trainer = Trainer(two_layers(), data(dtype=torch.float32), recipe, seed=0)
    trainer.run_epoch()
    state = {name: tensor.clone() for name, tensor in trainer.state().items()}
    before = {name: tensor.clone() for name, tensor in state.items()}
    other = Trainer(two_layers(), data(dtype=torch.float32), recipe, seed=0)
    other.load_state(state)
    other.run_epoch()
    assert [name for name in state if not torch.equal(state[name], before[name])] == []


def test_momentum_is_in_the_state_only_where_it_is_used():
    for momentum in (0.0, 0.9):
        trainer = Trainer(linear(), data(), Recipe(momentum=momentum), seed=0)
        trainer.run_epoch()
        names = {"model.1.weight", "model.1.bias", "history"}
        if momentum:
            names |= {"momentum.1.weight", "momentum.1.bias"}
        assert set(trainer.state()) == names


def test_the_state_of_another_model_is_refused():
    trainer = Trainer(two_layers(), data(dtype=torch.float32), Recipe(), seed=0)
    with pytest.raises(RuntimeError, match="Missing key"):
        trainer.load_state(Trainer(linear(), data(), Recipe(), seed=0).state())


def test_a_learning_rate_that_is_too_large_ends_the_training():
    prepared = data(dtype=torch.float32)
    trainer = Trainer(
        two_layers(), prepared, Recipe(epochs=5, batch_size=2, learning_rate=1e30), seed=0
    )
    run(trainer)
    assert trainer.history.diverged
    assert len(trainer.history) == 1


def test_an_image_that_is_not_a_number_ends_the_training():
    prepared = data()
    prepared.train_images[4, 0, 1, 1] = torch.nan
    trainer = Trainer(linear(), prepared, Recipe(epochs=5, batch_size=2), seed=0)
    assert not trainer.finished
    assert np.isnan(trainer.run_epoch().train_loss)
    assert trainer.finished
    assert trainer.history.diverged


def global_state():
    numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    return bytes(torch.get_rng_state().tolist()), repr(numpy), random.getstate()


def test_no_global_generator_is_touched():
    before = global_state()
    run(Trainer(two_layers(), data(dtype=torch.float32), Recipe(epochs=2, momentum=0.9), seed=0))
    assert global_state() == before
