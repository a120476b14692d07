"""Optimisers: their updates by hand, what a state holds of them, and a user's own."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from wider.errors import InputError
from wider.own_code import look_in
from wider.training import OPTIMISERS, Engine, NativeLayersTrainer, OptimiserSpec, Recipe, Trainer

from .memory import TASKS, Memory, bits, net, states_after_each_step, trained, weights

OWN = "own_code_of_a_user"
ELEMENTWISE = [name for name in OPTIMISERS if OPTIMISERS.find(name).is_elementwise]
SHORT = Recipe(epochs=2, batch_size=8)  # 8, 8 and 6 examples


@pytest.fixture(autouse=True)
def _own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    look_in(Path(__file__).parent)


def engine(kind: type[Engine], optimiser: object, **fields: object) -> Engine:
    task = TASKS["classes"]
    recipe = Recipe.model_validate({**SHORT.model_dump(), "optimiser": optimiser, **fields})
    return kind(net(task), Memory(task), recipe, seed=3)


def steps(spec: OptimiserSpec, gradients: np.ndarray, start: np.ndarray) -> np.ndarray:
    """A parameter after a step with each of the gradients."""
    parameter = nn.Parameter(torch.from_numpy(start.copy()))
    optimiser = spec.make([{"params": [parameter]}])
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient)
        optimiser.step()
    return parameter.detach().numpy()


GRADIENTS = np.random.default_rng(0).normal(size=(5, 4))
START = np.array([1.0, -2.0, 0.5, 0.0])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd_by_hand(momentum: float, decay: float):
    options = {"learning_rate": 0.2, "momentum": momentum, "weight_decay": decay}
    weight, velocity = START, np.zeros(4)
    for gradient in GRADIENTS:
        velocity = momentum * velocity + gradient + decay * weight
        weight = weight - 0.2 * velocity
    found = steps(OPTIMISERS.make("sgd", options), GRADIENTS, START)
    np.testing.assert_allclose(found, weight, rtol=1e-13)


def test_adamw_by_hand():
    options = {"learning_rate": 0.2, "betas": (0.8, 0.95), "epsilon": 1e-3, "weight_decay": 0.1}
    weight, mean, square = START, np.zeros(4), np.zeros(4)
    for number, gradient in enumerate(GRADIENTS, start=1):
        weight = weight * (1 - 0.2 * 0.1)
        mean = 0.8 * mean + 0.2 * gradient
        square = 0.95 * square + 0.05 * gradient**2
        root = np.sqrt(square / (1 - 0.95**number))
        weight = weight - 0.2 * mean / (1 - 0.8**number) / (root + 1e-3)
    found = steps(OPTIMISERS.make("adamw", options), GRADIENTS, START)
    np.testing.assert_allclose(found, weight, rtol=1e-12)


def test_the_defaults_of_adamw_are_those_of_torch():
    spec, plain = OPTIMISERS.make("adamw", {}), nn.Parameter(torch.zeros(1))
    ours, theirs = spec.make([{"params": [plain]}]), torch.optim.AdamW([plain])
    assert ours.defaults == theirs.defaults


@pytest.mark.parametrize("name", OPTIMISERS)
def test_every_optimiser_is_a_table_and_learns(name: str):
    spec = OPTIMISERS.make(name, {})
    assert spec.learning_rate is not None
    recipe = Recipe(optimiser=spec)
    assert recipe.optimiser_spec == spec
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    before = weights(engine(Trainer, spec))
    trainer = trained(engine(Trainer, spec))
    assert all(
        not torch.equal(before[key], now)
        for key, now in weights(trainer).items()
        if "mask" not in key
    )
    assert trainer.history[0].learning_rate == spec.learning_rate


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("length", [{}, {"epochs": 300, "steps": 7, "evaluate_every": 4}])
@pytest.mark.parametrize("kind", [Trainer, NativeLayersTrainer])
def test_every_optimiser_goes_on_bit_for_bit_from_every_step(
    name: str, length: dict[str, int], kind: type[Engine]
):
    if kind is NativeLayersTrainer and name not in ELEMENTWISE:
        return
    first = engine(kind, name, **length)
    states = states_after_each_step(first)
    assert len(states) == (7 if length else 6)
    for state in states:
        second = engine(kind, name, **length)
        second.load_state(state)
        assert bits(trained(second)) == bits(first)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_native_layers_are_masked_ones_to_rounding_and_take_each_others_states(name: str):
    options = {"name": name, "learning_rate": 0.02}
    if name == "adamw":
        options["epsilon"] = 1e-2  # or a gradient near nothing would become a whole step
    masked, native = engine(Trainer, options), engine(NativeLayersTrainer, options)
    masked_states, native_states = states_after_each_step(masked), states_after_each_step(native)
    for ours, theirs in zip(masked_states, native_states, strict=True):
        assert ours.keys() == theirs.keys()
        for key in ours.keys() - {"history", "epoch.seconds"}:
            torch.testing.assert_close(ours[key], theirs[key], rtol=1e-3, atol=1e-5, msg=key)
    other = engine(NativeLayersTrainer, options)
    other.load_state(masked_states[3])
    for ours, theirs in zip(trained(other).history, masked.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)


def test_the_state_of_adamw_by_name():
    state = states_after_each_step(engine(NativeLayersTrainer, "adamw"))[0]
    weight = "2.parametrizations.weight.original"
    names = {f"optimiser.{slot}.{weight}" for slot in ("exp_avg", "exp_avg_sq", "step")}
    assert names <= state.keys()
    mask = state["model.2.parametrizations.weight.0.mask"]
    for slot in ("exp_avg", "exp_avg_sq"):
        assert not state[f"optimiser.{slot}.{weight}"][~mask].any()
    assert state[f"optimiser.step.{weight}"] == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sgd", {"learning_rate": 0.0}, "learning_rate is 0.0: use more than 0"),
        ("sgd", {"momentum": 1.0}, "momentum is 1.0: use at least 0 and below 1"),
        ("adamw", {"betas": (0.9, 1.0)}, "betas is .* below 1"),
        ("adamw", {"epsilon": 0.0}, "epsilon is 0.0: use more than 0"),
        ("adamw", {"weight_decay": -1.0}, "weight_decay is -1.0: use 0 or more"),
        ("mine:x", {"options": {"lr": "high"}}, "lr of the optimiser 'mine:x' is 'high'"),
    ],
)
def test_bad_options(name: str, options: dict, message: str):
    with pytest.raises(InputError, match=message):
        OPTIMISERS.make(name, options)


def test_ones_own_optimiser_with_numbers_goes_on_bit_for_bit():
    table = {"name": f"{OWN}:Counting", "options": {"lr": 0.05, "decay": 0.7}}
    schedule = {"name": "warm-up-linear", "warm_up": 2}
    first = engine(Trainer, table, schedule=schedule)
    states = states_after_each_step(first)
    assert states[1]["optimiser.group:number:k.0.bias"] == 2
    for state in states:
        second = engine(Trainer, table, schedule=schedule)
        second.load_state(state)
        assert bits(trained(second)) == bits(first)


def test_the_state_does_not_depend_on_the_groups():
    table = {"name": f"{OWN}:Counting", "options": {"lr": 0.05}}
    rates = {"name": "inverse-fan-in", "reference_fan_in": 2.0}
    states = [
        states_after_each_step(engine(Trainer, table, layer_rates=each)) for each in (None, rates)
    ]
    assert states[0][-1].keys() == states[1][-1].keys()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no_optimiser", {}, "is int: use a torch.optim.Optimizer class"),
        ("Counting", {"speed": 1}, "cannot be made of groups .*speed"),
        ("first_only", {}, "does not train all parameters"),
        ("torch.optim:LBFGS", {}, "doesn't support per-parameter options|needs a closure"),
    ],
)
def test_what_is_no_optimiser_is_refused(name: str, options: dict, message: str):
    table = {"name": name if ":" in name else f"{OWN}:{name}", "options": options}
    with pytest.raises(InputError, match=message):
        engine(Trainer, table)


def test_what_no_checkpoint_holds_is_refused_by_its_name():
    trainer = engine(Trainer, {"name": f"{OWN}:Listing", "options": {"lr": 0.1}})
    with pytest.raises(InputError, match="Listing keeps list under 'all', which no checkpoint"):
        states_after_each_step(trainer)


@pytest.mark.parametrize("change", [{"schedule": "cosine"}, {"layer_rates": "inverse-fan-in"}])
def test_without_a_learning_rate_nothing_can_change_it(change: dict):
    table = {"name": f"{OWN}:Counting"}
    assert np.isnan(trained(engine(Trainer, table)).history[0].learning_rate)
    with pytest.raises(ValidationError, match='have no "lr": give one'):
        engine(Trainer, table, **change)


def test_layers_of_other_rates_do_not_share_a_group():
    table = {"name": f"{OWN}:merged", "options": {"lr": 0.1}}
    trained(engine(Trainer, table))
    with pytest.raises(InputError, match="different layer_rates into one group"):
        engine(Trainer, table, layer_rates="inverse-fan-in")
