import pytest

from wider.data import Preprocessing
from wider.runs import ModelSpec, RunSpec, Widening, estimated_seconds
from wider.training import Recipe

MNIST = {"num_images": 60_000, "num_features": 784, "num_classes": 10}


def seconds(*, data=None, model=None, widening=None, recipe=None, **sizes):
    spec = RunSpec(
        data=Preprocessing(**(data or {})),
        model=ModelSpec(**(model or {})),
        widening=Widening(**(widening or {})),
        recipe=Recipe(**(recipe or {})),
    )
    return estimated_seconds(spec, **{**MNIST, **sizes})


def test_by_hand():
    # Width 80 stores 80 x 794 = 63,520 weights: 0.43 ms + 63,520 x 6.2 ns = 0.823824 ms a step,
    # 600 steps an epoch, 300 epochs.
    assert seconds() == pytest.approx(180_000 * 0.823824e-3, rel=1e-12)
    # 3 epochs of ceil((1000 - 90) / 200) = 5 steps; the net stores 7 x (64 + 3) + 2 x 49 = 567
    # weights, and a batch of 200 is twice the work of one of 100.
    assert seconds(
        data={"num_validation": 90},
        model={"num_hidden_layers": 3},
        widening={"width": 7},
        recipe={"epochs": 3, "batch_size": 200},
        num_images=1000,
        num_features=64,
        num_classes=3,
    ) == pytest.approx(15 * (4.3e-4 + 6.2e-9 * 567 * 2), rel=1e-12)
    # num_train, not what is left of the dataset: one step of 10 images.
    assert seconds(
        data={"num_train": 10, "num_validation": 90}, recipe={"epochs": 1}
    ) == pytest.approx(0.823824e-3, rel=1e-12)


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
        {"num_images": 60_001},
        {"num_features": 785},
        {"num_classes": 11},
    ],
)
def test_it_grows_with(more):
    less = {"data": {"num_train": 30_000}} if "data" in more else {}
    assert seconds(**more) > seconds(**less)
