"""Counting arithmetic, against numbers worked out by hand."""

import copy

import pytest
import torch
from torch import nn

from wider.errors import InputError
from wider.families import Family
from wider.models import ResNet18
from wider.sparsity import multiply_adds, sparsify, to_native


@pytest.mark.parametrize(
    ("layer", "image_shape", "expected"),
    [
        (nn.Linear(4, 3), (4,), 12),
        (nn.Linear(4, 3), (5, 4), 60),  # each of five rows meets all weights
        (nn.Conv2d(2, 3, 3, padding=1), (2, 5, 5), 54 * 25),
        (nn.Conv2d(2, 3, 3, stride=2), (2, 5, 5), 54 * 4),
        (nn.Conv2d(4, 6, 1, groups=2), (4, 3, 3), 12 * 9),
        (nn.Conv1d(2, 3, 3), (2, 7), 18 * 5),
        (nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 4, 4), 24 * 16),  # each input position
        (nn.ReLU(), (7,), 0),
    ],
)
def test_layers(layer: nn.Module, image_shape: tuple[int, ...], expected: int):
    assert multiply_adds(layer, image_shape)[""] == expected


def test_masked_and_native_layers_count_their_nonzeros_alike():
    net = sparsify(
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Flatten(), nn.Linear(64, 10)),
        num_weights=100,
        allocation={"0": 20},
        seed=0,
    )
    expected = {"0": 20 * 16, "2": 80, "": 400}
    assert multiply_adds(net, (2, 4, 4)) == expected
    assert multiply_adds(to_native(net), (2, 4, 4)) == expected


def test_a_layer_that_is_used_twice_counts_twice():
    layer = nn.Linear(3, 3)
    assert multiply_adds(nn.Sequential(layer, nn.ReLU(), layer), (3,)) == {"0": 18, "": 18}


def test_resnet_18_of_width_8():
    # 3x3 convolutions of 8, 16, 32, 64 channels on 32, 16, 8, 4 squared, shortcuts, output.
    stem, first_stage = 3 * 8 * 9 * 1024, 4 * 64 * 9 * 1024
    stages = sum(
        (channels * channels // 2 * 9 + 3 * channels**2 * 9 + channels**2 // 2) * side**2
        for channels, side in ((16, 16), (32, 8), (64, 4))
    )
    net = ResNet18(8)
    assert multiply_adds(net, (3, 32, 32))[""] == stem + first_stage + stages + 640


def test_wider_at_the_same_weights_is_more_arithmetic():
    family = Family(ResNet18, base_width=8)
    counts = [multiply_adds(net, (3, 32, 32))[""] for net in (family.dense(8), family.sparse(32))]
    assert 5.5 < counts[1] / counts[0] < 6.5


def test_the_module_is_left_as_it_was():
    net = ResNet18(2)
    net.stages[0].eval()
    modes = [part.training for part in net.modules()]
    state = copy.deepcopy(net.state_dict())
    multiply_adds(net, (3, 8, 8))
    assert [part.training for part in net.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert not any(part._forward_hooks for part in net.modules())


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"does not take an image of shape \(1, 8, 8\)"):
        multiply_adds(ResNet18(2), (1, 8, 8))
