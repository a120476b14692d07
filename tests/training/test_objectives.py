"""Objectives and metrics against plain NumPy, and in a run."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from wider.errors import InputError
from wider.own_code import look_in
from wider.randomness import stream
from wider.tasks import Task
from wider.training import (
    METRICS,
    OBJECTIVES,
    Engine,
    NativeLayersTrainer,
    Outcome,
    Recipe,
    Trainer,
)

from .memory import BYTES, TASKS, Memory, net, states_after_each_step, trained

OWN = "own_code_of_a_user"
BATCH = 4


@pytest.fixture(autouse=True)
def _own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    look_in(Path(__file__).parent)


def outcome(task: Task) -> tuple[Tensor, Tensor]:
    """Outputs of a net, and targets."""
    generator = stream(0, "outcome")
    shape = (
        (BATCH, *task.shape, task.num_outputs)
        if task.output == "tokens"
        else (BATCH, task.num_outputs)
    )
    outputs = torch.randn(shape, generator=generator, dtype=torch.float64)
    if task.output == "numbers":
        return outputs, torch.randn(shape, generator=generator, dtype=torch.float64)
    return outputs, torch.randint(task.num_outputs, shape[:-1], generator=generator)


def tasks_of(entry) -> list[Task]:
    return [task for name, task in TASKS.items() if entry.outputs is None or name in entry.outputs]


def nats(outputs: Tensor, targets: Tensor) -> np.ndarray:
    """Of each example or token."""
    scores = outputs.numpy()
    probabilities = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return -np.log(np.take_along_axis(probabilities, targets.numpy()[..., None], -1))[..., 0]


EXPECTED = {
    "cross-entropy": lambda outputs, targets: nats(outputs, targets).sum(),
    "next-token": lambda outputs, targets: nats(outputs, targets).mean(1).sum(),
    "mean-squared-error": lambda outputs, targets: ((outputs - targets).numpy() ** 2).mean(1).sum(),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_a_sum_over_examples_that_can_be_differentiated(name: str):
    (task,) = tasks_of(OBJECTIVES.find(name))
    objective = Recipe().objective_for(task)
    assert objective.name == name
    outputs, targets = outcome(task)
    total = objective.total(outputs, targets)
    assert total.shape == ()
    assert float(total) == pytest.approx(EXPECTED[name](outputs, targets), rel=1e-12)
    each = [objective.total(outputs[[row]], targets[[row]]) for row in range(BATCH)]
    assert float(sum(each)) == pytest.approx(float(total), rel=1e-12)
    outputs.requires_grad_()
    assert torch.autograd.gradcheck(lambda outputs: objective.total(outputs, targets), outputs)


@pytest.mark.parametrize(
    ("name", "task"),
    [(name, task) for name in METRICS for task in tasks_of(METRICS.find(name))],
    ids=lambda each: each if isinstance(each, str) else each.output,
)
def test_every_metric_is_a_sum_over_examples(name: str, task: Task):
    metric = Recipe(metric=name).metric_for(task)
    assert metric.name == name
    assert metric.higher_is_better == (name == "accuracy")
    outputs, targets = outcome(task)
    objective = Recipe().objective_for(task)

    def total(rows: list[int]) -> float:
        own = outputs[rows], targets[rows]
        return float(metric.total(Outcome(*own, objective.total(*own))))

    assert sum(total([row]) for row in range(BATCH)) == pytest.approx(total([*range(BATCH)]))
    if metric.same_as == objective.name:
        assert total([0, 1]) == float(objective.total(outputs[:2], targets[:2]))


def test_metrics_by_hand():
    task = TASKS["tokens"]
    outputs, targets = outcome(task)
    right = (outputs.numpy().argmax(-1) == targets.numpy()).mean(1).sum()
    loss = torch.tensor(7.0)
    expected = {
        "accuracy": right,
        "error": BATCH - right,
        "bits-per-byte": EXPECTED["next-token"](outputs, targets),
        "loss": 7.0,
    }
    for name, value in expected.items():
        metric = Recipe(metric=name).metric_for(task)
        assert float(metric.total(Outcome(outputs, targets, loss))) == pytest.approx(value)
    bits_per_byte = Recipe(metric="bits-per-byte").metric_for(task)
    assert bits_per_byte.number(3 * math.log(2), 4.0) == pytest.approx(0.75)


def test_one_number_for_each_example_may_come_without_a_dimension():
    objective = OBJECTIVES.find("mean-squared-error")()
    outputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([0.0, 0.0])
    assert float(objective.total(outputs, targets)) == 5
    with pytest.raises(InputError, match=r"\(2, 1\) and the targets \(2, 2\)"):
        objective.total(outputs, torch.zeros(2, 2))


def test_outputs_that_are_no_tokens_are_refused():
    with pytest.raises(InputError, match=r"gives \(batch, context, vocabulary\)"):
        OBJECTIVES.find("next-token")().total(torch.zeros(2, 7, 5), torch.zeros(2, 5).long())


def check_row(trainer: Engine, data: Memory, task: Task) -> None:
    """The last row says of the model what can be computed from it."""
    trainer.update_model()
    row = trainer.history[-1]
    inputs, targets = data.parts["test"]
    with torch.no_grad():
        outputs = trainer.model.eval()(inputs)
    count = len(targets)
    loss = EXPECTED[task.objective](outputs.double(), targets) / count
    assert row.test_loss == pytest.approx(loss, rel=1e-5)
    if task.output == "numbers":
        assert math.isnan(row.test_accuracy)
        assert math.isnan(row.train_accuracy)
        assert row.test_metric == row.test_loss
        return
    hits = (outputs.argmax(-1) == targets).double().mean()
    assert row.test_accuracy == pytest.approx(float(hits), rel=1e-12)
    if task.output == "classes":
        assert math.isnan(row.test_metric)
    else:
        assert row.test_metric == pytest.approx(loss / math.log(2) / BYTES["test"], rel=1e-5)
        train = row.train_loss / math.log(2) / BYTES["train"]
        assert row.train_metric == pytest.approx(train, rel=1e-12)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("kind", [Trainer, NativeLayersTrainer])
def test_nets_of_every_task_learn_and_their_histories_say_it(task: Task, kind: type[Engine]):
    data = Memory(task)
    recipe = Recipe(epochs=25, batch_size=8, learning_rate=0.3, momentum=0.5)
    if task.output == "numbers":
        recipe = recipe.model_copy(update={"learning_rate": 0.05})
    trainer = trained(kind(net(task), data, recipe, seed=0))
    assert trainer.history[-1].train_loss < 0.5 * trainer.history[0].train_loss
    check_row(trainer, data, task)
    columns = trainer.history.to_table().columns
    assert ("test_metric" in columns) == (task.output != "classes")


@pytest.mark.parametrize("kind", [Trainer, NativeLayersTrainer])
def test_within_an_epoch_the_sums_of_a_metric_are_kept(kind: type[Engine]):
    task, recipe = TASKS["tokens"], Recipe(epochs=1, batch_size=8)
    first = kind(net(task), Memory(task), recipe, seed=0)
    state = states_after_each_step(first)[1]
    assert "epoch.metrics" in state
    second = kind(net(task), Memory(task), recipe, seed=0)
    second.load_state(state)
    assert trained(second).history[0][:7] == pytest.approx(first.history[0][:7], rel=0)
    assert second.history[0].train_metric == first.history[0].train_metric


def test_a_metric_beside_the_own_one_of_an_objective():
    task = TASKS["classes"]
    recipe = Recipe(epochs=2, batch_size=8, metric="error")
    trainer = trained(Trainer(net(task), Memory(task), recipe, seed=0))
    for row in trainer.history:
        assert row.test_metric == pytest.approx(1 - row.test_accuracy)
        assert row.train_metric == pytest.approx(1 - row.train_accuracy)
    told = Trainer(net(task), Memory(task), recipe.model_copy(update={"metric": "loss"}), seed=0)
    row = trained(told).history[-1]
    assert (row.test_metric, row.train_metric) == (row.test_loss, row.train_loss)


def test_ones_own_objective_and_metric():
    task, data = TASKS["numbers"], Memory(TASKS["numbers"])
    recipe = Recipe(epochs=3, batch_size=8, objective=f"{OWN}:absolute", learning_rate=0.05)
    assert recipe.metric_for(task).name == "loss"
    trainer = trained(Trainer(net(task), data, recipe, seed=0))
    inputs, targets = data.parts["test"]
    with torch.no_grad():
        loss = (trainer.model.eval()(inputs) - targets).abs().sum(1).mean()
    assert trainer.history[-1].test_loss == pytest.approx(float(loss), rel=1e-6)
    assert trainer.history[-1].test_metric == trainer.history[-1].test_loss
    told = recipe.model_copy(update={"objective": None, "metric": f"{OWN}:absolute"})
    trainer = trained(Trainer(net(task), data, told, seed=0))
    with torch.no_grad():
        metric = (trainer.model.eval()(inputs) - targets).abs().sum(1).mean()
    assert trainer.history[-1].test_metric == pytest.approx(float(metric), rel=1e-6)


@pytest.mark.parametrize("field", ["objective", "metric"])
def test_a_sum_is_not_taken_for_losses(field: str):
    task, recipe = TASKS["numbers"], Recipe.model_validate({field: f"{OWN}:summed"})
    with pytest.raises(InputError, match=r"returned \(\) for 22 examples: return a tensor \(22,\)"):
        Trainer(net(task), Memory(task), recipe, seed=0).run_epoch()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objective": "next-token"}, "'next-token' is for tokens, and the data have classes"),
        ({"metric": "mean-squared-error"}, "is for numbers, and the data have classes"),
        ({"objective": f"{OWN}:Counting"}, "is a class, and not a Objective|not an Objective"),
        ({"objective": "math:pi"}, "'math:pi' is 3.14.*: use a function"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(fields: dict, message: str):
    task, recipe = TASKS["classes"], Recipe.model_validate(fields)
    with pytest.raises(InputError, match=message):
        Trainer(net(task), Memory(task), recipe, seed=0)


@pytest.mark.parametrize("field", ["objective", "metric"])
def test_unknown_names_are_refused_with_the_spec(field: str):
    with pytest.raises(ValidationError, match=f"unknown {field} 'no'; use '"):
        Recipe.model_validate({field: "no"})
