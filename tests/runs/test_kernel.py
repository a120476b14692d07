"""Kernel distances that a run measures before it trains, against formulas written out here."""

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from wider.data import PreparedData, Preprocessing, load_large, prepare
from wider.errors import InputError
from wider.models import MLPSpec, ResNet18Spec
from wider.randomness import stream
from wider.runs import (
    MeasuredDistances,
    RunSpec,
    Store,
    Widening,
    execute,
    kernel_distances,
    random_pairs,
)
from wider.tasks import Task
from wider.theory import kernel_distance
from wider.training import Recipe

NTK = MLPSpec(parametrization="ntk", bias=False)
TASK = Task.of_images((1, 3, 4), 10)


def data(count: int = 40) -> PreparedData:
    images = torch.randn(count, 1, 3, 4, generator=stream(0, "tests"))
    labels = torch.arange(count) % 10
    return PreparedData(images, labels, images, labels, images[:0], labels[:0], num_classes=10)


def spec(**changes) -> RunSpec:
    widening = Widening(base_width=4, width=16, allocation={"output": 0.5})
    return RunSpec(**{"model": NTK, "widening": widening, "kernel_pairs": 50, **changes})


def test_the_measured_distance_is_that_of_the_net_itself():
    net = spec().build(TASK)
    found = kernel_distances(net, data(), num_pairs=50, seed=3)
    x, y = random_pairs(data().test_images.flatten(1), 50, 3)
    weight = net.hidden[0].weight.detach().double()  # pyright: ignore
    total = 0.0
    for one, other in zip(x.double(), y.double(), strict=True):
        first, second = ((weight @ vector / math.sqrt(12)).clamp(min=0) for vector in (one, other))
        own = float(first @ second) / 16
        cosine = float(one @ other / one.norm() / other.norm())
        angle = math.acos(cosine)
        limit = math.sin(angle) + (math.pi - angle) * cosine
        limit *= float(one.norm() * other.norm()) / (2 * math.pi * 12)
        total += (own - limit) ** 2
    assert found.initial == pytest.approx(total / 50, rel=1e-4)  # features are float32
    assert found.pairs == 50


def test_expected_distances_are_those_of_the_theory_with_the_layers_own_connectivities():
    net = spec().build(TASK)
    found = kernel_distances(net, data(), num_pairs=50, seed=3)
    x, y = (part.double() for part in random_pairs(data().test_images.flatten(1), 50, 3))
    # Weights of width 4: 88. The last layer keeps half of 160, the first one 8 of 192.
    first = {"width": 16, "connectivity": 8 / 192, "seed": 3}
    exact = kernel_distance(x, y, output_connectivity=0.5, **first)
    assert found.expected == pytest.approx(float(exact.distances.mean()), rel=1e-12)
    as_printed = kernel_distance(x, y, **first)
    assert found.theorem_1 == pytest.approx(float(as_printed.distances.mean()), rel=1e-12)
    assert found.theorem_1 < found.expected


def test_a_last_layer_that_is_excluded_counts_as_the_dense_one_that_it_is():
    widening = Widening(base_width=4, width=16, exclude=("output",))
    net = spec(widening=widening).build(TASK)
    found = kernel_distances(net, data(), num_pairs=50, seed=3)
    x, y = (part.double() for part in random_pairs(data().test_images.flatten(1), 50, 3))
    exact = kernel_distance(x, y, width=16, connectivity=1 / 4, seed=3)
    assert found.expected == found.theorem_1
    assert found.expected == pytest.approx(float(exact.distances.mean()), rel=1e-12)


def test_results_with_the_old_closed_form_still_open_and_it_is_not_believed():
    old = {"pairs": 5, "initial": None, "expected": 0.1, "theorem_1": 0.2, "closed_form": 7.0}
    found = MeasuredDistances.model_validate(old)
    assert "closed_form" not in found.model_dump()
    assert found == MeasuredDistances(pairs=5, initial=None, expected=0.1, theorem_1=0.2)


def test_other_parametrisations_have_a_prediction_only():
    net = spec(model=MLPSpec()).build(TASK)
    found = kernel_distances(net, data(), num_pairs=50, seed=3)
    ntk = kernel_distances(spec().build(TASK), data(), num_pairs=50, seed=3)
    assert found.initial is None
    assert found.expected == ntk.expected


def test_pairs_are_of_different_images_and_follow_the_seed():
    images = torch.arange(5.0).view(-1, 1)
    first, second = random_pairs(images, 200, 1)
    assert (first != second).all()
    assert set(first.flatten().tolist()) == set(second.flatten().tolist()) == set(range(5))
    assert torch.equal(first, random_pairs(images, 200, 1)[0])
    assert not torch.equal(first, random_pairs(images, 200, 2)[0])


def test_a_run_keeps_its_distances(tmp_path: Path):
    wanted = spec(
        data=Preprocessing(dataset="digits", num_train=50), recipe=Recipe(epochs=1), kernel_pairs=20
    )
    run = execute(wanted, Store(tmp_path))
    assert run.result.kernel is not None
    assert run.result.kernel.pairs == 20
    assert run.result.kernel.initial
    without = execute(wanted.model_copy(update={"kernel_pairs": 0}), Store(tmp_path))
    assert without.result.kernel is None
    assert without.history[-1].train_loss == run.history[-1].train_loss


def test_images_that_stay_on_disk_are_refused(prepared_dir: Path):
    large = load_large("photos", data_dir=prepared_dir, image_size=8)
    streamed = prepare(large, Preprocessing(dataset="photos", image_size=8), workers=0)
    net = spec().build(Task.of_images((3, 8, 8), 2))
    with pytest.raises(InputError, match=r"stay on disk, .*: leave kernel_pairs out"):
        kernel_distances(net, streamed, num_pairs=50, seed=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ResNet18Spec()},
        {"model": MLPSpec(parametrization="ntk", bias=False, activation="identity")},
        {"model": MLPSpec(parametrization="ntk", bias=False, num_hidden_layers=2)},
        {"widening": Widening(method="linear_bottleneck")},
    ],
)
def test_nets_without_a_known_kernel_are_refused(changes: dict):
    with pytest.raises(ValidationError, match="kernel_pairs is 50, but the kernel distance is"):
        spec(**changes)
