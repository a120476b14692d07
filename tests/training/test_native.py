"""The native engine against the PyTorch one, which is its reference."""

import dataclasses

import pytest
import torch

from wider.data import PreparedData, Preprocessing, load, prepare
from wider.families import Family
from wider.models import MLP
from wider.training import (
    Engine,
    NativeTrainer,
    Recipe,
    SlowEngineWarning,
    Trainer,
    trainer_for,
)

BATCH = 100  # the size at which everything else in the tests is compiled already


def images(num_validation: int = 0, num_features: int = 64) -> PreparedData:
    data = prepare(
        load("digits"),
        Preprocessing(dataset="digits", num_train=530, num_validation=num_validation),
    )
    return dataclasses.replace(
        data,
        **{
            f"{part}_images": data.part(part)[0].flatten(2)[:, :, :num_features, None]
            for part in ("train", "test", "validation")
        },
    )


def net(width: int = 16, method: str = "sparse", num_features: int = 64, **options) -> MLP:
    family = Family(MLP, base_width=4, in_features=num_features, num_classes=10, **options)
    member = getattr(family, method)(width, seed=1)
    assert isinstance(member, MLP)
    return member


def both(data: PreparedData, recipe: Recipe, *models: MLP) -> tuple[Trainer, NativeTrainer]:
    first, second = models
    return Trainer(first, data, recipe, seed=5), NativeTrainer(second, data, recipe, seed=5)


def assert_same_history(left: Engine, right: Engine, rtol: float) -> None:
    for ours, theirs in zip(left.history, right.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=rtol)
        assert ours.test_loss == pytest.approx(theirs.test_loss, rel=rtol)
        # An image on the border of two classes may fall to either side.
        assert ours.test_accuracy == pytest.approx(theirs.test_accuracy, abs=0.005)
        assert ours.train_accuracy == pytest.approx(theirs.train_accuracy, abs=0.005)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "identity"},
        {"bias": False},
        {"parametrization": "ntk"},
        {"parametrization": "ntk", "bias": False, "activation": "identity"},
        {"num_hidden_layers": 3},
        {"num_hidden_layers": 2, "parametrization": "ntk"},
        {"method": "dense", "width": 4},
        {"method": "dense", "num_hidden_layers": 2},
        {"width": 128},
        {"num_features": 50},
        {"exclude": ["output"]},
        {"exclude": ["hidden.0"], "num_hidden_layers": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(epochs=2, batch_size=BATCH),
        Recipe(epochs=2, batch_size=BATCH, momentum=0.9, weight_decay=0.01, learning_rate=0.05),
    ],
    ids=["plain", "momentum and decay"],
)
def test_engines_agree_on_history_weights_and_momentum(options: dict, recipe: Recipe):
    data = images(num_features=options.get("num_features", 64))
    torch_engine, native = both(data, recipe, net(**options), net(**options))
    while not torch_engine.finished:
        torch_engine.run_epoch()
        native.run_epoch()
    # A dozen steps in float32, each of a few hundred sums in another order.
    assert_same_history(torch_engine, native, rtol=2e-5)
    expected, found = torch_engine.state(), native.state()
    assert expected.keys() == found.keys()
    for name in expected.keys() - {"history"}:
        scale = expected[name].abs().max() if expected[name].is_floating_point() else 0
        torch.testing.assert_close(
            found[name], expected[name], rtol=0, atol=2e-5 * float(scale), msg=name
        )


@pytest.mark.parametrize("batch_size", [16, 97, 200])
def test_engines_agree_at_batches_that_fill_no_tile_or_several(batch_size: int):
    recipe = Recipe(epochs=1, batch_size=batch_size)
    torch_engine, native = both(images(), recipe, net(), net())
    torch_engine.run_epoch()
    native.run_epoch()
    assert_same_history(torch_engine, native, rtol=2e-5)


def test_gradients_are_those_of_autograd_in_double_precision():
    """One step from rate 1: what changed is the gradient, and autograd gives it in float64."""
    data, model = images(), net(width=24, num_hidden_layers=2)
    double = net(width=24, num_hidden_layers=2).double()
    recipe = Recipe(epochs=1, batch_size=BATCH, learning_rate=1.0)
    first = dataclasses.replace(
        data, train_images=data.train_images[:BATCH], train_labels=data.train_labels[:BATCH]
    )
    before = {name: value.clone() for name, value in model.named_parameters()}
    native = NativeTrainer(model, first, recipe, seed=0)
    native.run_epoch()
    native.update_model()
    scores = double(first.train_images.double())
    torch.nn.functional.cross_entropy(scores, first.train_labels).backward()
    for name, parameter in double.named_parameters():
        assert parameter.grad is not None
        found = before[name] - dict(model.named_parameters())[name]
        # The difference of two float32 numbers of order one keeps their absolute rounding.
        torch.testing.assert_close(found.double(), parameter.grad, rtol=1e-5, atol=3e-7)


def test_removed_weights_stay_exactly_zero_and_kept_ones_move():
    model = net(width=64)
    native = NativeTrainer(model, images(), Recipe(momentum=0.9, weight_decay=0.1), seed=0)
    before = model.hidden[0].weight.detach().clone()  # pyright: ignore
    native.run_epoch()
    native.update_model()
    after = model.hidden[0].weight.detach()  # pyright: ignore
    assert torch.equal(after == 0, before == 0)
    assert (after != before)[before != 0].all()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("kinds", [(NativeTrainer, NativeTrainer), (Trainer, NativeTrainer)])
def test_either_engine_goes_on_from_the_state_of_the_other(kinds: tuple, momentum: float):
    first_kind, second_kind = kinds
    data, recipe = images(num_validation=50), Recipe(epochs=4, momentum=momentum)
    whole = NativeTrainer(net(), data, recipe, seed=5)
    while not whole.finished:
        whole.run_epoch()
    first = first_kind(net(), data, recipe, seed=5)
    first.run_epoch()
    first.run_epoch()
    second = second_kind(net(), data, recipe, seed=5)
    second.load_state(first.state())
    while not second.finished:
        second.run_epoch()
    if first_kind is second_kind:  # bit for bit
        for name, value in whole.state().items():
            columns = slice(None) if name != "history" else slice(0, 7)
            assert torch.equal(second.state()[name][..., columns], value[..., columns]), name
    else:
        assert_same_history(whole, second, rtol=1e-4)


def test_a_loss_that_is_no_number_ends_the_run():
    native = NativeTrainer(net(), images(), Recipe(epochs=5, learning_rate=1e30), seed=0)
    while not native.finished:
        native.run_epoch()
    assert native.history.diverged
    assert len(native.history) < 5


def test_the_choice_of_engine():
    data, recipe = images(), Recipe()
    assert isinstance(trainer_for(net(), data, recipe, seed=0), NativeTrainer)
    assert isinstance(
        trainer_for(net(width=4, method="dense"), data, recipe, seed=0), NativeTrainer
    )
    large = MLP(1000, in_features=64)
    assert isinstance(trainer_for(large, data, recipe, seed=0), Trainer)
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    assert isinstance(trainer_for(other, data, recipe, seed=0), Trainer)
    assert isinstance(trainer_for(net().double(), data, recipe, seed=0), Trainer)


def test_without_kernels_pytorch_trains_and_one_warning_says_what_it_costs(monkeypatch):
    monkeypatch.setattr("wider.training._choice.is_available", lambda: False)
    with pytest.warns(SlowEngineWarning, match="40 times at width 640.*pip install ziglang"):
        engine = trainer_for(net(), images(), Recipe(), seed=0)
    assert isinstance(engine, Trainer)
