import pytest

from wider.data import Preprocessing
from wider.models import ResNet18Spec
from wider.runs import (
    RunSpec,
    Widening,
    estimated_gpu_seconds,
    estimated_seconds,
)
from wider.tasks import Task
from wider.training import Recipe

MNIST = {"num_train": 60_000, "image_shape": (1, 28, 28), "num_classes": 10}


def seconds(*, data=None, model=None, widening=None, recipe=None, **sizes):
    spec = RunSpec(
        data=Preprocessing(**(data or {})),
        model=RunSpec.model_validate({"model": model or {}}).model,
        widening=Widening(**(widening or {})),
        recipe=Recipe(**(recipe or {})),
    )
    of = {**MNIST, **sizes}
    task = Task.of_images(of["image_shape"], of["num_classes"])
    return estimated_seconds(spec, task, num_train=of["num_train"])


def test_native_by_hand():
    # Figure 4 at width 80: 600 steps of 100 images, 300 epochs; an image costs 784 pixels, 3,970
    # weights and 80 units: 352.8 + 357.3 + 22.4 = 732.5 ns.
    assert seconds() == pytest.approx(180_000 * (1e-5 + 100 * 732.5e-9), rel=1e-12)
    # 3 epochs of ceil((1000 - 90) / 200) = 5 steps; the budget is that of width 5:
    # 5 x (64 + 3) + 2 x 25 = 385 weights; three layers of 7 units.
    assert seconds(
        data={"num_validation": 90},
        model={"num_hidden_layers": 3},
        widening={"width": 7},
        recipe={"epochs": 3, "batch_size": 200},
        num_train=1000,
        image_shape=(1, 8, 8),
        num_classes=3,
    ) == pytest.approx(15 * (1e-5 + 200 * (4.5e-10 * 64 + 9e-11 * 385 + 2.8e-10 * 21)), rel=1e-12)
    # num_train, not what is left of the dataset: one step of 10 images.
    one_step = {"data": {"num_train": 10, "num_validation": 90}, "recipe": {"epochs": 1}}
    assert seconds(**one_step) == pytest.approx(1e-5 + 100 * 732.5e-9, rel=1e-12)


def test_pytorch_by_hand():
    # The dense control of width 80 stores 80 x 794 = 63,520 weights, too many for native code:
    # 0.43 ms + 63,520 x 6.2 ns = 0.823824 ms a step, twice the second part for 200 images.
    dense = {"method": "dense"}
    assert seconds(widening=dense) == pytest.approx(180_000 * 0.823824e-3, rel=1e-12)
    assert seconds(widening=dense, recipe={"batch_size": 200}) == pytest.approx(
        90_000 * (0.43e-3 + 2 * 0.393824e-3), rel=1e-12
    )


def test_it_is_proportional_to_the_epochs():
    assert seconds(recipe={"epochs": 600}) == pytest.approx(2 * seconds(), rel=1e-12)


@pytest.mark.parametrize(
    "more",
    [
        {"widening": {"width": 160}},
        {"model": {"num_hidden_layers": 2}},
        {"data": {"num_train": 30_001}},
        {"recipe": {"epochs": 301}},
        {"recipe": {"batch_size": 50}},
        {"num_train": 60_001},
        {"image_shape": (1, 28, 29)},
        {"num_classes": 11},
    ],
)
def test_it_grows_with(more):
    less = {"data": {"num_train": 30_000}} if "data" in more else {}
    assert seconds(**more) > seconds(**less)


def test_a_resnet_by_hand():
    # 8,872,576 multiply-adds an image at width 8; 10 epochs of 100 images.
    resnet = {"model": {"name": "resnet18"}, "recipe": {"epochs": 10}, "data": {"num_train": 100}}
    widening = {"base_width": 8, "width": 8, "method": "dense"}
    cifar = {"num_train": 50_000, "image_shape": (3, 32, 32)}
    found = seconds(**resnet, widening=widening, **cifar)
    assert found == pytest.approx(1000 * (8e-11 * 8_872_576 + 3e-5 * 8), rel=1e-12)
    assert seconds(**resnet, widening={"base_width": 8, "width": 32}, **cifar) > 3 * found


def test_bottlenecks_cost_what_they_store():
    two = {"model": {"num_hidden_layers": 2}}
    sizes = {"base_width": 5, "width": 20}
    narrowed = seconds(**two, widening={"method": "nonlinear_bottleneck", **sizes})
    assert narrowed == seconds(**two, widening={"method": "sparse", **sizes})
    linear = seconds(**two, widening={"method": "linear_bottleneck", **sizes})
    # 5 x 794 + 25 weights through PyTorch.
    assert linear == pytest.approx(180_000 * (4.3e-4 + 3995 * 6.2e-9), rel=1e-12)
    resnet = {"model": {"name": "resnet18"}, "image_shape": (3, 32, 32)}
    for method in ("linear_bottleneck", "nonlinear_bottleneck"):
        widening = {"method": method, "base_width": 8, "width": 32}
        dense = seconds(**resnet, widening={**widening, "method": "dense"})
        assert 0 < seconds(**resnet, widening=widening) < dense


def test_a_gpu_by_hand():
    # Zeros are multiplied there: at width 16 the dense net's multiply-adds, whatever is kept.
    spec = RunSpec(
        model=ResNet18Spec(),
        widening=Widening(base_width=8, width=16),
        data=Preprocessing(num_train=1000),
        recipe=Recipe(epochs=10, batch_size=128),
    )
    sizes = {"task": Task.of_images((3, 32, 32), 10), "num_train": 50_000}
    dense = spec.model_copy(update={"widening": Widening(method="dense", base_width=8, width=16)})
    # 35,046,656 multiply-adds, three times; 8 steps an epoch.
    expected = 80 * 3e-3 + 3 * 10_000 * 35_046_656 / 2e14
    assert estimated_gpu_seconds(spec, **sizes) == pytest.approx(expected, rel=1e-12)
    assert estimated_gpu_seconds(dense, **sizes) == estimated_gpu_seconds(spec, **sizes)
    bottleneck = Widening(method="nonlinear_bottleneck", base_width=8, width=16)
    narrow = spec.model_copy(update={"widening": bottleneck})
    assert estimated_gpu_seconds(narrow, **sizes) < estimated_gpu_seconds(spec, **sizes)
