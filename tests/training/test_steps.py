"""Runs that are counted in steps, clipping, batches in parts, layer rates."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from wider.families import Family
from wider.models import MLP
from wider.own_code import look_in
from wider.randomness import stream
from wider.training import (
    LAYER_RATES,
    Engine,
    Layer,
    NativeLayersTrainer,
    Recipe,
    Rounds,
    Trainer,
    layers_of,
)

from .memory import TASKS, Memory, net, states_after_each_step, timeless, trained, weights

OWN = "own_code_of_a_user"
TASK = TASKS["classes"]
KINDS = [Trainer, NativeLayersTrainer]


@pytest.fixture(autouse=True)
def _own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    look_in(Path(__file__).parent)


def engine(kind: type[Engine] = Trainer, **fields: object) -> Engine:
    recipe = Recipe.model_validate({"batch_size": 8, "momentum": 0.5, **fields})
    return kind(net(TASK), Memory(TASK), recipe, seed=3)


def permutations(count: int, seed: int, number: int) -> list[int]:
    """So many, one after the other."""
    drawn = [
        torch.randperm(count, generator=stream(seed, "data order", each + 1))
        for each in range(number)
    ]
    return torch.cat(drawn).tolist()


@given(
    count=st.integers(1, 30),
    batch_size=st.integers(1, 40),
    steps=st.integers(1, 20),
    evaluate_every=st.none() | st.integers(1, 25),
    data=st.data(),
)
def test_one_permutation_follows_on_the_other_in_full_batches(
    count: int, batch_size: int, steps: int, evaluate_every: int | None, data: st.DataObject
):
    recipe = Recipe(batch_size=batch_size, steps=steps, evaluate_every=evaluate_every)
    rounds = Rounds(recipe, count, seed=5)
    visited, lengths = [], []
    for number in range(1, recipe.num_rounds + 1):
        own = []
        # Left and gone on with, as after any step.
        left = data.draw(st.integers(0, rounds.examples_in(number) // batch_size)) * batch_size
        for stretch in rounds.stretches(number, 0):
            assert (stretch.stop - stretch.start) % batch_size == 0
            own += stretch.order[stretch.start : stretch.stop].tolist()
        rest = [
            each
            for stretch in rounds.stretches(number, left)
            for each in stretch.order[stretch.start : stretch.stop].tolist()
        ]
        assert rest == own[left:]
        lengths.append(len(own) // batch_size)
        visited += own
    every = evaluate_every or steps
    assert lengths == [every] * (steps // every) + [steps % every] * (steps % every > 0)
    total = steps * batch_size
    assert visited == permutations(count, 5, -(-total // count))[:total]
    assert rounds.num_steps == steps


@settings(max_examples=30)
@given(count=st.integers(1, 30), batch_size=st.integers(1, 40), epochs=st.integers(1, 4))
def test_an_epoch_is_one_permutation(count: int, batch_size: int, epochs: int):
    rounds = Rounds(Recipe(batch_size=batch_size, epochs=epochs), count, seed=5)
    for number in range(1, epochs + 1):
        (stretch,) = rounds.stretches(number, 0)
        assert (stretch.number, stretch.start, stretch.stop) == (number, 0, count)
        assert stretch.order.tolist() == permutations(count, 5, number)[-count:]
    assert rounds.num_steps == epochs * -(-count // batch_size)


@pytest.mark.parametrize("kind", KINDS)
def test_when_there_is_an_evaluation_changes_no_step(kind: type[Engine]):
    expected = weights(trained(engine(kind, steps=7)))
    for every in (1, 3, 5, 9):
        trainer = trained(engine(kind, steps=7, evaluate_every=every))
        assert [row.epoch for row in trainer.history] == list(range(1, -(-7 // every) + 1))
        for name, tensor in weights(trainer).items():
            assert torch.equal(tensor, expected[name]), (every, name)


def test_steps_of_whole_epochs_are_the_epochs():
    by_epoch = engine(epochs=2, batch_size=11)  # of 22 examples
    by_step = engine(steps=4, evaluate_every=2, batch_size=11)
    assert timeless(trained(by_step)) == timeless(trained(by_epoch))


def test_a_state_within_a_round_says_how_far_it_is():
    states = states_after_each_step(engine(steps=5, evaluate_every=3))
    visited = [len(state["epoch.visited"]) for state in states]
    sizes = [state["epoch.visited"].shape[1] for state in states]
    assert visited == [8, 16, 24, 8, 16]
    assert sizes == [24 + 13] * 3 + [16 + 13] * 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 3, "epochs": 2}, "a run has one length, so leave one of them out"),
        ({"evaluate_every": 3}, "the length is in epochs"),
        ({"steps": 3, "schedule": "cosine"}, "cosine schedule goes by epoch"),
        ({"steps": 3, "milestones": (1,)}, "steps schedule goes by epoch"),
        ({"schedule": "constant", "milestones": (1,)}, "constant schedule has none"),
        ({"optimiser": "adamw", "momentum": 0.5}, "momentum is 0.5, but there is a table"),
        (
            {"optimiser": {"name": "sgd"}, "learning_rate": 1.0},
            "learning_rate is 1.0, but there is",
        ),
    ],
)
def test_what_does_not_go_together(fields: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        Recipe.model_validate(fields)


def test_sgd_is_one_spec_however_it_is_written():
    options = {"learning_rate": 0.2, "momentum": 0.5, "weight_decay": 0.01}
    flat = Recipe.model_validate(options)
    assert Recipe.model_validate({"optimiser": {"name": "sgd", **options}}) == flat
    assert Recipe(optimiser=flat.optimiser_spec) == flat
    assert flat.optimiser is None
    assert Recipe.model_validate({**flat.model_dump(), "optimiser": None}) == flat
    assert Recipe.model_validate({**Recipe().model_dump(), "optimiser": "sgd"}) == Recipe()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [2, 3, 8, 100])
def test_a_batch_in_parts_is_the_same_batch(kind: type[Engine], parts: int):
    whole, apart = engine(kind, epochs=2), engine(kind, epochs=2, accumulate=parts)
    for ours, theirs in zip(trained(apart).history, trained(whole).history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-5)
        assert ours.train_accuracy == pytest.approx(theirs.train_accuracy)
    expected = weights(whole)
    for name, tensor in weights(apart).items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("longest", [0.05, 1e6])
def test_a_gradient_is_no_longer_than_it_may_be(kind: type[Engine], longest: float):
    plain = {"steps": 1, "momentum": 0.0, "learning_rate": 1.0}
    before = weights(engine(kind))
    names = [name for name in before if "mask" not in name]

    def moves(**fields: object) -> torch.Tensor:
        after = weights(trained(engine(kind, **plain, **fields)))
        return torch.cat([(before[name] - after[name]).flatten() for name in names]).double()

    free, clipped = moves(), moves(clip_norm=longest)
    scale = min(1.0, longest / float(free.norm()))
    assert scale == 1 or longest < 1
    torch.testing.assert_close(clipped, scale * free, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", LAYER_RATES)
def test_every_rule_of_layer_rates_gives_positive_factors_and_is_a_table(name: str):
    rates = LAYER_RATES.make(name, {})
    for kind in ("first", "hidden", "last", "other"):
        assert 0 < rates.factor(Layer("layer", kind, 10, 0.5)) < 1e6
    recipe = Recipe.model_validate({"layer_rates": name})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_inverse_fan_in_by_hand():
    rates = LAYER_RATES.make("inverse-fan-in", {"reference_fan_in": 8.0})
    assert rates.factor(Layer("layer", "hidden", 100, 0.25)) == pytest.approx(8 / 25)
    for kind in ("first", "last", "other"):
        assert rates.factor(Layer("layer", kind, 100, 0.25)) == 1


def test_what_is_known_of_each_layer():
    mlp = Family(MLP, base_width=4, in_features=6, num_classes=3, num_hidden_layers=3).sparse(8)
    layers = layers_of(mlp, TASK)
    of_weights = {each.name: each for name, each in layers.items() if "bias" not in name}
    assert {name: each.kind for name, each in of_weights.items()} == {
        "hidden.0": "first",
        "hidden.1": "hidden",
        "hidden.2": "hidden",
        "output": "last",
    }
    assert [each.fan_in for each in of_weights.values()] == [6, 8, 8, 8]
    kept = mlp.hidden[1].weight.count_nonzero() / 64  # pyright: ignore
    assert of_weights["hidden.1"].connectivity == pytest.approx(float(kept))
    biases = [each for name, each in layers.items() if "bias" in name]
    assert {(each.kind, each.fan_in) for each in biases} == {("other", 0)}


def test_of_tokens_the_embedding_is_first_and_no_layer():
    task = TASKS["tokens"]
    model = net(task, dense=True)
    kinds = {name: each.kind for name, each in layers_of(model, task).items()}
    assert {name: kind for name, kind in kinds.items() if "bias" not in name} == {
        "embedding.weight": "other",
        "inner.weight": "hidden",
        "middle.weight": "hidden",
        "head.weight": "last",
    }
    model.head.weight = model.embedding.weight  # pyright: ignore
    kinds = {name: each.kind for name, each in layers_of(model, task).items()}
    assert kinds["embedding.weight"] == "other"
    assert kinds["middle.weight"] == "hidden"


def test_parts_of_one_parameter_are_one_layer():
    attention = nn.MultiheadAttention(8, 2)
    layers = layers_of(nn.ModuleDict({"mix": attention, "end": nn.Linear(8, 7)}), TASKS["tokens"])
    assert layers["mix.in_proj_weight"] == Layer("mix", "hidden", 8, 1.0)
    assert layers["end.weight"].kind == "last"


def test_inputs_are_counted_wherever_a_layer_has_them():
    conv1d = pytest.importorskip("transformers.pytorch_utils").Conv1D
    layers = {
        "start": nn.Linear(6, 8),
        "plain": nn.Conv2d(8, 4, 3, groups=2),
        "transposed": nn.ConvTranspose2d(8, 4, 3, groups=2),
        "of_transformers": conv1d(20, 10),
        "end": conv1d(3, 20),
    }
    found = layers_of(nn.ModuleDict(layers), TASK)
    fan_ins = {each.name: each.fan_in for name, each in found.items() if name.endswith("weight")}
    sizes = {"start": 6, "plain": 36, "transposed": 36, "of_transformers": 10, "end": 20}
    assert fan_ins == sizes
    assert found["end.weight"].kind == "last"


@pytest.mark.parametrize("kind", KINDS)
def test_each_layer_moves_at_its_own_rate(kind: type[Engine]):
    one = {"steps": 1, "momentum": 0.0, "learning_rate": 1.0}
    before, plain = weights(engine(kind)), weights(trained(engine(kind, **one)))
    table = {"name": f"{OWN}:only_hidden", "options": {"factor": 0.25}}
    after = weights(trained(engine(kind, **one, layer_rates=table)))
    hidden = "2.weight"
    for name, tensor in before.items():
        factor = 0.25 if name == hidden else 0.0
        expected = tensor if "mask" in name else tensor + factor * (plain[name] - tensor)
        torch.testing.assert_close(after[name], expected, rtol=1e-5, atol=1e-7)
    assert not torch.equal(after[hidden], before[hidden])
