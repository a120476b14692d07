"""What is counted of a net that is not made, against the net."""

from typing import Any

import pytest

from wider.runs import (
    Method,
    ModelSpec,
    RunSpec,
    Widening,
    family_weights,
    multiply_adds_per_image,
)
from wider.runs._arithmetic import stored_multiply_adds_per_image
from wider.sparsity import connectivity, count_weights, multiply_adds

IMAGES: dict[str, Any] = {"image_shape": (3, 32, 32), "num_classes": 7}
MODELS = [
    ModelSpec(name="resnet18"),
    ModelSpec(name="resnet18", stem="imagenet"),
    ModelSpec(num_hidden_layers=3),
]
METHODS: list[Method] = ["dense", "sparse", "linear_bottleneck", "nonlinear_bottleneck"]


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("model", MODELS, ids=["small", "large", "mlp"])
@pytest.mark.parametrize("method", METHODS)
def test_multiply_adds_are_those_of_the_net(model: ModelSpec, method: Method):
    spec = RunSpec(model=model, widening=Widening(method=method, base_width=6, width=9))
    net = spec.build(**IMAGES)
    counted = multiply_adds(net, IMAGES["image_shape"])[""]
    assert multiply_adds_per_image(spec, **IMAGES) == counted
    assert multiply_adds_per_image(spec, connectivity=connectivity(net), **IMAGES) == counted
    assert family_weights(spec, **IMAGES) == spec.family(**IMAGES).num_weights


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("method", METHODS)
def test_excluded_layers_are_multiplied_whole_and_not_counted(method: Method):
    widening = Widening(method=method, base_width=6, width=9, exclude=("hidden.0", "output"))
    spec = RunSpec(model=ModelSpec(num_hidden_layers=4), widening=widening)
    net = spec.build(**IMAGES)
    assert "output" not in connectivity(net)
    budget = {"linear_bottleneck": 3 * 6 * 12}.get(method, 3 * 36)
    assert family_weights(spec, **IMAGES) == 3 * 36
    assert method == "dense" or budget - 2 * 9 < count_weights(net) <= budget
    counted = multiply_adds(net, IMAGES["image_shape"])[""]
    assert multiply_adds_per_image(spec, **IMAGES) == counted
    assert multiply_adds_per_image(spec, connectivity=connectivity(net), **IMAGES) == counted
    whole = sum(net.get_parameter(f"{name}.weight").numel() for name in widening.exclude)
    assert counted == whole + count_weights(net)


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
def test_whole_kernels_count_as_the_finished_run_has_them():
    widening = Widening(base_width=6, width=9, pattern="io")
    spec = RunSpec(model=ModelSpec(name="resnet18"), widening=widening)
    net = spec.build(**IMAGES)
    found = multiply_adds_per_image(spec, connectivity=connectivity(net), **IMAGES)
    assert found == multiply_adds(net, IMAGES["image_shape"])[""]


def test_zeros_count_where_they_are_stored():
    sparse = RunSpec(model=ModelSpec(name="resnet18"), widening=Widening(base_width=6, width=9))
    dense = sparse.model_copy(update={"widening": Widening(method="dense", base_width=6, width=9)})
    stored = multiply_adds_per_image(dense, **IMAGES)
    assert stored_multiply_adds_per_image(sparse, **IMAGES) == stored
    assert multiply_adds_per_image(sparse, **IMAGES) < stored


def test_the_arithmetic_of_table_1():
    # He et al. 2016, Table 1: 1.8 billion multiply-adds at width 64.
    widening = Widening(method="dense", base_width=64, width=64)
    spec = RunSpec(model=ModelSpec(name="resnet18", stem="imagenet"), widening=widening)
    found = multiply_adds_per_image(spec, image_shape=(3, 224, 224), num_classes=1000)
    assert found == pytest.approx(1.81e9, rel=0.01)
