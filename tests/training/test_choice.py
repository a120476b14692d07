"""Which engine trains what, and what is said where it is not the fastest."""

import warnings

import pytest
import torch
from torch import nn

from wider.data import PreparedData
from wider.families import Family
from wider.models import MLP
from wider.randomness import stream
from wider.training import (
    METRICS,
    OBJECTIVES,
    OPTIMISERS,
    SCHEDULES,
    Engine,
    NativeLayersTrainer,
    NativeTrainer,
    Recipe,
    SlowEngineWarning,
    Trainer,
    trainer_for,
)

from .memory import TASKS, Memory, net, trained

OWN_OPTIMISER = {"name": "torch.optim:SGD", "options": {"lr": 0.1}}


def data() -> PreparedData:
    generator = stream(0, "tests")

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(count) % 3
        return torch.randn(count, 1, 4, 4, generator=generator), labels

    return PreparedData(*part(40), *part(9), *part(5), num_classes=3)


def mlp() -> MLP:
    member = Family(MLP, base_width=2, in_features=16, num_classes=3).sparse(40)
    assert isinstance(member, MLP)
    return member


def chosen(model: nn.Module, fields: dict) -> tuple[type[Engine], list[str]]:
    """The engine, and what was said."""
    recipe = Recipe.model_validate({"epochs": 1, "batch_size": 20, **fields})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SlowEngineWarning)
        trainer = trained(trainer_for(model, data(), recipe, seed=0))
    return type(trainer), [str(each.message) for each in said]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"optimiser": "adamw"}, "the optimiser 'adamw'"),
        ({"schedule": "constant"}, "a schedule that goes by step"),
        ({"metric": "error"}, "the metric 'error'"),
        ({"clip_norm": 1.0}, "clip_norm"),
        ({"layer_rates": "inverse-fan-in"}, "layer_rates"),
    ],
)
def test_what_native_code_cannot_do_native_layers_do_and_say_so_once(fields: dict, reason: str):
    model = mlp()
    engine, said = chosen(model, fields)
    assert engine is NativeLayersTrainer
    assert len(said) == 1
    assert "'native layers' trains this net, more slowly than others would" in said[0]
    assert f"(native: {reason})" in said[0]


def test_what_mixes_entries_is_for_masked_layers():
    engine, said = chosen(mlp(), {"optimiser": OWN_OPTIMISER})
    assert engine is Trainer
    assert len(said) == 1
    assert "native: the optimiser 'torch.optim:SGD'; native layers: the optimiser" in said[0]


@pytest.mark.parametrize(
    "fields", [{}, {"momentum": 0.9}, {"accumulate": 3}, {"epochs": 300, "steps": 3}]
)
def test_native_code_does_the_rest_and_nothing_is_said(fields: dict):
    assert chosen(mlp(), fields) == (NativeTrainer, [])


def test_nothing_is_said_where_pytorch_is_the_fastest_anyway():
    large = MLP(400, in_features=16, num_classes=3, num_hidden_layers=2)
    assert chosen(large, {"optimiser": "adamw"}) == (Trainer, [])


def test_steps_are_the_same_in_native_code():
    recipe = Recipe(steps=7, evaluate_every=3, batch_size=12, momentum=0.9)
    masked, native = (
        Trainer(mlp(), data(), recipe, seed=2),
        NativeTrainer(mlp(), data(), recipe, seed=2),
    )
    for ours, theirs in zip(trained(native).history, trained(masked).history, strict=True):
        assert ours[:2] == theirs[:2]
        assert ours[2:7] == pytest.approx(theirs[2:7], rel=1e-4)


EVERY = [{"optimiser": name} for name in OPTIMISERS] + [{"schedule": name} for name in SCHEDULES]


@pytest.mark.parametrize("fields", EVERY, ids=str)
def test_an_engine_trains_with_each_thing_that_has_a_name(fields: dict):
    chosen(mlp(), fields)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_and_for_each_task_with_what_belongs_to_it(task):
    names = [{}]
    for field, registry in {"objective": OBJECTIVES, "metric": METRICS}.items():
        names += [
            {field: name}
            for name in registry
            if registry.find(name).outputs is None or task.output in registry.find(name).outputs
        ]
    for fields in names:
        recipe = Recipe.model_validate({"epochs": 1, "batch_size": 8, **fields})
        trainer = trained(trainer_for(net(task), Memory(task), recipe, seed=0))
        assert not trainer.history.diverged
