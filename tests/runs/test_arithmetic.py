"""What is counted of a net that is not made, against the net."""

import pytest

from wider.models import MLPSpec, ModelSpec, ResNet18Spec
from wider.runs import (
    Method,
    RunSpec,
    Widening,
    family_weights,
    multiply_adds_per_example,
    stored_multiply_adds_per_example,
)
from wider.sparsity import connectivity, count_weights, multiply_adds
from wider.tasks import Task

TASK = Task.of_images((3, 32, 32), 7)
MODELS = [
    ResNet18Spec(),
    ResNet18Spec(stem="imagenet"),
    MLPSpec(num_hidden_layers=3),
]
METHODS: list[Method] = ["dense", "sparse", "linear_bottleneck", "nonlinear_bottleneck"]


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("model", MODELS, ids=["small", "large", "mlp"])
@pytest.mark.parametrize("method", METHODS)
def test_multiply_adds_are_those_of_the_net(model: ModelSpec, method: Method):
    spec = RunSpec(model=model, widening=Widening(method=method, base_width=6, width=9))
    net = spec.build(TASK)
    counted = multiply_adds(net, TASK.shape)[""]
    assert multiply_adds_per_example(spec, TASK) == counted
    assert multiply_adds_per_example(spec, TASK, connectivity=connectivity(net)) == counted
    assert family_weights(spec, TASK) == spec.family(TASK).num_weights


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
@pytest.mark.parametrize("method", METHODS)
def test_excluded_layers_are_multiplied_whole_and_not_counted(method: Method):
    widening = Widening(method=method, base_width=6, width=9, exclude=("hidden.0", "output"))
    spec = RunSpec(model=MLPSpec(num_hidden_layers=4), widening=widening)
    net = spec.build(TASK)
    assert "output" not in connectivity(net)
    budget = {"linear_bottleneck": 3 * 6 * 12}.get(method, 3 * 36)
    assert family_weights(spec, TASK) == 3 * 36
    assert method == "dense" or budget - 2 * 9 < count_weights(net) <= budget
    counted = multiply_adds(net, TASK.shape)[""]
    assert multiply_adds_per_example(spec, TASK) == counted
    assert multiply_adds_per_example(spec, TASK, connectivity=connectivity(net)) == counted
    whole = sum(net.get_parameter(f"{name}.weight").numel() for name in widening.exclude)
    assert counted == whole + count_weights(net)


@pytest.mark.filterwarnings("ignore::wider.sparsity.BudgetWarning")
def test_whole_kernels_count_as_the_finished_run_has_them():
    widening = Widening(base_width=6, width=9, pattern="io")
    spec = RunSpec(model=ResNet18Spec(), widening=widening)
    net = spec.build(TASK)
    found = multiply_adds_per_example(spec, TASK, connectivity=connectivity(net))
    assert found == multiply_adds(net, TASK.shape)[""]


def test_zeros_count_where_they_are_stored():
    sparse = RunSpec(model=ResNet18Spec(), widening=Widening(base_width=6, width=9))
    dense = sparse.model_copy(update={"widening": Widening(method="dense", base_width=6, width=9)})
    stored = multiply_adds_per_example(dense, TASK)
    assert stored_multiply_adds_per_example(sparse, TASK) == stored
    assert multiply_adds_per_example(sparse, TASK) < stored


def test_the_arithmetic_of_table_1():
    # He et al. 2016, Table 1: 1.8 billion multiply-adds at width 64.
    widening = Widening(method="dense", base_width=64, width=64)
    spec = RunSpec(model=ResNet18Spec(stem="imagenet"), widening=widening)
    found = multiply_adds_per_example(spec, Task.of_images((3, 224, 224), 1000))
    assert found == pytest.approx(1.81e9, rel=0.01)
