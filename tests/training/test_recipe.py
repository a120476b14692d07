import math

import pytest
from pydantic import ValidationError

from wider.training import Recipe


def test_the_defaults_are_those_of_figure_4():
    assert Recipe().model_dump() == {
        "epochs": 300,
        "batch_size": 100,
        "learning_rate": 0.1,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "schedule": "steps",
        "milestones": (),
        "augmentation": "none",
        "optimiser": None,
        "steps": None,
        "evaluate_every": None,
        "objective": None,
        "metric": None,
        "clip_norm": None,
        "accumulate": 1,
        "layer_rates": None,
    }


def test_the_learning_rate_of_resnets_falls_at_the_milestones_of_appendix_a():
    recipe = Recipe(milestones=(50, 120, 200))
    rates = [recipe.learning_rate_in(epoch) for epoch in (1, 50, 51, 120, 121, 200, 201, 300)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4])


def test_the_learning_rate_of_imagenet_falls_along_half_a_cosine():
    recipe = Recipe(epochs=150, schedule="cosine")
    rates = [recipe.learning_rate_in(epoch) for epoch in (1, 51, 76, 101, 150)]
    last = 0.05 * (1 - math.cos(math.pi / 150))
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025, last])


def test_a_cosine_has_no_milestones():
    with pytest.raises(ValidationError, match="leave them out or use schedule"):
        Recipe(schedule="cosine", milestones=(50,))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("batch_size", None),
        ("learning_rate", 0.0),
        ("learning_rate", -0.1),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("momentum", -0.1),
        ("momentum", 1.0),
        ("weight_decay", -1e-9),
        ("weight_decay", math.inf),
        ("augmentation", "mixup"),
        ("early_stopping", True),
    ],
)
def test_a_bad_value_is_refused_by_its_name(field, value):
    with pytest.raises(ValidationError) as refusal:
        Recipe(**{field: value})
    assert [error["loc"] for error in refusal.value.errors()] == [(field,)]
    assert field in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 1),
        ("batch_size", 1),
        ("learning_rate", 1e-300),
        ("momentum", 0.999),
        ("weight_decay", 0.0),
    ],
)
def test_values_at_the_edge_are_taken(field, value):
    assert getattr(Recipe(**{field: value}), field) == value


def test_frozen():
    recipe = Recipe()
    with pytest.raises(ValidationError, match="frozen"):
        recipe.epochs = 1  # pyright: ignore[reportAttributeAccessIssue]
    assert recipe == Recipe()
    assert hash(recipe) == hash(Recipe())
