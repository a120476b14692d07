"""Schedules against their closed forms, and in a run."""

import math
import sys
from pathlib import Path

import pytest

from wider.errors import InputError
from wider.own_code import look_in
from wider.training import SCHEDULES, Engine, NativeLayersTrainer, Recipe, Trainer

from .memory import TASKS, Memory, net, trained

OWN = "own_code_of_a_user"


@pytest.fixture(autouse=True)
def _own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    look_in(Path(__file__).parent)


def factors(name: str, options: dict, num_steps: int) -> list[float]:
    schedule = SCHEDULES.make(name, options)
    return [schedule.factor(step, num_steps) for step in range(num_steps)]


@pytest.mark.parametrize("warm_up", [0, 1, 4, 10])
@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("warm-up-cosine", lambda passed: (1 + math.cos(math.pi * passed)) / 2),
        ("warm-up-linear", lambda passed: 1 - passed),
        ("constant", lambda _: 1.0),
    ],
)
def test_closed_forms(name: str, after, warm_up: int):
    rise = [(step + 1) / (warm_up + 1) for step in range(warm_up)]
    fall = [after(step / (10 - warm_up)) for step in range(10 - warm_up)]
    assert factors(name, {"warm_up": warm_up}, 10) == pytest.approx(rise + fall, rel=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_every_schedule_gives_part_of_the_rate_and_is_a_table(name: str, num_steps: int):
    assert all(0 < factor <= 1 for factor in factors(name, {}, num_steps))
    recipe = Recipe.model_validate({"schedule": name})
    assert recipe.schedule == SCHEDULES.make(name, {})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", [Trainer, NativeLayersTrainer])
def test_in_a_run_it_goes_by_step(name: str, kind: type[Engine]):
    task = TASKS["classes"]
    schedule = {"name": name, "warm_up": 2}
    expected = [0.3 * factor for factor in factors(name, {"warm_up": 2}, 6)]
    used = []
    recipe = Recipe.model_validate(
        {"epochs": 2, "batch_size": 8, "learning_rate": 0.3, "schedule": schedule}
    )
    trainer = kind(net(task), Memory(task), recipe, seed=0)
    assert isinstance(trainer, Trainer)
    while not trainer.finished:
        trainer.run_epoch(lambda _: used.append(trainer._optimizer.param_groups[0]["lr"]))
    assert used == expected
    assert [row.learning_rate for row in trainer.history] == [expected[2], expected[5]]


def test_the_schedules_by_epoch_are_what_they_were():
    for name in ("steps", "cosine"):
        assert Recipe(schedule=name).model_dump()["schedule"] == name  # pyright: ignore


def test_ones_own_schedule():
    task = TASKS["classes"]
    schedule = {"name": f"{OWN}:falling", "options": {"power": 2}}
    recipe = Recipe.model_validate({"steps": 4, "evaluate_every": 1, "schedule": schedule})
    trainer = trained(Trainer(net(task), Memory(task), recipe, seed=0))
    expected = [0.1 * (1 - step / 4) ** 2 for step in range(4)]
    assert [row.learning_rate for row in trainer.history] == pytest.approx(expected, rel=1e-15)


def test_a_factor_is_a_number():
    task = TASKS["classes"]
    recipe = Recipe.model_validate({"schedule": f"{OWN}:not_a_number"})
    with pytest.raises(InputError, match="'own_code_of_a_user:not_a_number' returned nan"):
        Trainer(net(task), Memory(task), recipe, seed=0).run_epoch()


def test_a_warm_up_is_no_fewer_than_no_steps():
    with pytest.raises(InputError, match="warm_up is -1"):
        SCHEDULES.make("constant", {"warm_up": -1})
