"""Training with native layers against the PyTorch engine, its reference."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from wider.data import PreparedData
from wider.errors import InputError
from wider.families import Family
from wider.models import MLP, ResNet18
from wider.native import SparseLayer
from wider.randomness import default_generator_from, stream
from wider.sparsity import sparsify
from wider.training import Engine, NativeLayersTrainer, NativeTrainer, Recipe, Trainer, trainer_for

SIDE, CLASSES = 8, 3
RECIPE = Recipe(
    epochs=4,
    batch_size=20,
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=1e-3,
    milestones=(2,),
    augmentation="crop-flip",
)


def data() -> PreparedData:
    generator = stream(0, "tests")

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.randint(CLASSES, (count,), generator=generator)
        images = torch.randn(count, 2, SIDE, SIDE, generator=generator)
        return images + labels.view(-1, 1, 1, 1), labels

    return PreparedData(
        *part(50), *part(30), *part(7), num_classes=CLASSES, black=torch.tensor([-1.0, 0.5])
    )


def smooth_net() -> nn.Module:
    """Without a rectifier, so that rounding errors stay as small as they are."""
    with default_generator_from(0, "tests"):
        net = nn.Sequential(
            nn.Conv2d(2, 12, 3, padding=1),
            nn.BatchNorm2d(12),
            nn.Tanh(),
            nn.Conv2d(12, 40, 3, padding=1, stride=2),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(40 * 16, CLASSES),
        )
    # The first stays masked, since it keeps most of its weights; the others become native.
    return sparsify(net, num_weights=1000, allocation={"0": 0.9, "3": 0.1}, seed=0)


def engine(kind: type[Engine], recipe: Recipe = RECIPE) -> Engine:
    return kind(smooth_net(), data(), recipe, seed=3)


def trained(kind: type[Engine], epochs: int) -> Engine:
    trainer = engine(kind)
    for _ in range(epochs):
        trainer.run_epoch()
    return trainer


def assert_same_state(left: Engine, right: Engine) -> None:
    ours, theirs = left.state(), right.state()
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if name != "history":
            torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-5, msg=name)


def test_histories_and_states_are_those_of_the_reference():
    masked, native = trained(Trainer, 4), trained(NativeLayersTrainer, 4)
    assert isinstance(native, NativeLayersTrainer)
    assert sum(isinstance(part, SparseLayer) for part in native._net.modules()) == 2
    for ours, theirs in zip(masked.history, native.history, strict=True):
        assert ours.learning_rate == theirs.learning_rate
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        assert ours.test_loss == pytest.approx(theirs.test_loss, rel=1e-4)
    assert_same_state(masked, native)


def test_the_learning_rate_falls_after_a_milestone():
    rates = [row.learning_rate for row in trained(NativeLayersTrainer, 4).history]
    assert rates == pytest.approx([0.05, 0.05, 0.005, 0.005])


@pytest.mark.parametrize("first", [Trainer, NativeLayersTrainer])
@pytest.mark.parametrize("second", [Trainer, NativeLayersTrainer])
def test_each_goes_on_from_the_state_of_each(first: type[Engine], second: type[Engine]):
    half = trained(first, 2)
    resumed = engine(second)
    resumed.load_state(half.state())
    for _ in range(2):
        resumed.run_epoch()
    whole = trained(second, 4)
    assert_same_state(whole, resumed)
    if first is second:  # then bit for bit
        for name, value in whole.state().items():
            assert name == "history" or torch.equal(value, resumed.state()[name]), name


def test_removed_weights_are_zero_in_the_model_and_in_the_momentum():
    native = trained(NativeLayersTrainer, 2)
    state = native.state()
    mask = state["model.3.parametrizations.weight.0.mask"]
    for name in ("model.3.weight", "momentum.3.parametrizations.weight.original"):
        dense = state[name]
        assert not dense[~mask].any()
        assert dense[mask].all()


def test_a_resnet_learns():
    net = Family(ResNet18, base_width=2, num_classes=CLASSES, in_channels=2).sparse(8, seed=0)
    recipe = Recipe(epochs=6, batch_size=10, learning_rate=0.02, momentum=0.9)
    trainer = trainer_for(net, data(), recipe, seed=0)
    assert isinstance(trainer, NativeLayersTrainer)
    while not trainer.finished:
        trainer.run_epoch()
    assert trainer.history[-1].train_loss < 0.7 * trainer.history[0].train_loss


def test_each_net_gets_its_engine():
    mlp = Family(MLP, base_width=2, in_features=2 * SIDE**2, num_classes=CLASSES).sparse(8)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(2 * SIDE**2, CLASSES))
    still = RECIPE.model_copy(update={"augmentation": "none"})
    assert type(trainer_for(copy.deepcopy(mlp), data(), still, seed=0)) is NativeTrainer
    assert type(trainer_for(mlp, data(), RECIPE, seed=0)) is NativeLayersTrainer
    assert type(trainer_for(plain, data(), RECIPE, seed=0)) is Trainer
    normalised = Family(
        MLP, base_width=2, batch_norm=True, in_features=2 * SIDE**2, num_classes=CLASSES
    ).sparse(8)
    assert type(trainer_for(normalised, data(), still, seed=0)) is NativeLayersTrainer
    assert type(trainer_for(smooth_net().double(), data(), RECIPE, seed=0)) is Trainer


def test_augmentation_draws_from_a_stream_of_its_own():
    still = engine(Trainer, RECIPE.model_copy(update={"augmentation": "none"}))
    moving = engine(Trainer)
    assert still.run_epoch().train_loss != moving.run_epoch().train_loss
    assert moving.run_epoch().train_loss == trained(Trainer, 2).history[1].train_loss


def test_without_one_black_images_cannot_be_moved():
    with pytest.raises(InputError, match=r'normalisation "pixel".*use "channel" or "unit"'):
        Trainer(smooth_net(), replace(data(), black=None), RECIPE, seed=0)
