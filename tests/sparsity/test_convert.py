import copy

import pytest
import torch
from torch import nn

from wider.errors import InputError
from wider.families import Family
from wider.models import MLP, ResNet18
from wider.native import NativeConv2d, SparseConv2d, SparseLayer, SparseLinear
from wider.sparsity import (
    connectivity,
    count_weights,
    mask_of,
    sparsify,
    to_masked,
    to_native,
)


def resnet(width: int = 16) -> nn.Module:
    return Family(ResNet18, base_width=2).sparse(width, seed=1)


@pytest.mark.parametrize("training", [True, False])
def test_a_whole_net_gives_the_same_outputs_and_gradients(training: bool):
    masked = resnet().train(training)
    native = to_native(copy.deepcopy(masked))
    assert sum(isinstance(part, SparseConv2d) for part in native.modules()) > 10
    images = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    # ReLU may cut a rounding error near zero to either side, hence no tighter than this.
    torch.testing.assert_close(native(images), masked(images), rtol=1e-3, atol=1e-4)


def test_one_step_of_training_is_the_same():
    masked = Family(MLP, base_width=4, in_features=40).sparse(64, seed=1)
    native = to_native(copy.deepcopy(masked))
    images, labels = torch.randn(32, 40), torch.arange(32) % 10
    for net in (masked, native):
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        for _ in range(3):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(images), labels).backward()
            optimiser.step()
    back = to_masked(native).state_dict()
    for name, value in masked.state_dict().items():
        torch.testing.assert_close(back[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_there_and_back_is_bit_for_bit():
    masked = resnet()
    back = to_masked(to_native(copy.deepcopy(masked))).state_dict()
    assert back.keys() == masked.state_dict().keys()
    for name, value in masked.state_dict().items():
        assert torch.equal(back[name], value), name


def test_counts_do_not_depend_on_the_execution():
    masked = resnet()
    native = to_native(copy.deepcopy(masked))
    assert count_weights(native) == count_weights(masked)
    assert connectivity(native) == connectivity(masked)


def test_layers_beyond_the_break_even_stay_as_they_are():
    net = nn.Sequential(nn.Linear(200, 200), nn.Linear(200, 200))
    sparsify(net, num_weights=40_000, allocation={"0": 4_000, "1": 36_000})
    to_native(net)
    assert isinstance(net[0], SparseLinear)
    assert mask_of(net[1]) is not None


def test_what_layers_gain_depends_on_what_they_see():
    def net() -> nn.Sequential:
        torch.manual_seed(0)
        return sparsify(nn.Sequential(nn.Conv2d(64, 64, 1)), num_weights=2_048, seed=0)

    many = to_native(net(), inputs=torch.zeros(32, 64, 16, 16))
    one_place = to_native(net(), inputs=torch.zeros(1, 64, 1, 1))  # most lanes would be idle
    assert isinstance(many[0], SparseConv2d)
    assert not isinstance(one_place[0], SparseConv2d)


def test_a_convolution_that_keeps_its_weights_computes_natively_where_that_is_faster():
    net = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1))
    images = torch.randn(4, 3, 32, 32)
    expected, state = net(images), net.state_dict()
    to_native(net)
    assert isinstance(net[0], NativeConv2d)
    assert type(net[1]) is nn.Conv2d  # of many channels, as PyTorch likes them
    assert net.state_dict().keys() == state.keys()
    torch.testing.assert_close(net(images), expected)
    to_masked(net)
    assert type(net[0]) is nn.Conv2d


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv1d(4, 4, 3),
        nn.ConvTranspose2d(4, 4, 3),
    ],
    ids=str,
)
def test_what_native_code_cannot_do_stays_masked(layer: nn.Module):
    net = sparsify(nn.Sequential(layer), num_weights=5)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    to_native(net)
    assert not any(isinstance(part, SparseLayer) for part in net.modules())
    assert before.keys() == net.state_dict().keys()


def test_a_layer_by_itself_and_a_layer_under_two_names():
    alone = to_native(sparsify(nn.Linear(10, 10), num_weights=5))
    assert isinstance(alone, SparseLinear)
    assert isinstance(to_masked(alone), nn.Linear)
    shared = nn.Linear(10, 10)
    net = to_native(sparsify(nn.Sequential(shared, nn.ReLU(), shared), num_weights=5))
    assert net[0] is net[2]
    assert isinstance(net[0], SparseLinear)


def test_modes_and_biases_are_kept():
    net = sparsify(nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10)), num_weights=10)
    bias = net[1].bias.detach().clone()  # pyright: ignore
    to_native(net.eval())
    assert not any(part.training for part in net.modules())
    assert net[0].bias is None
    assert torch.equal(net[1].bias, bias)  # pyright: ignore


def test_dense_nets_and_frozen_values_are_left_alone():
    dense = nn.Sequential(nn.Linear(10, 10))
    assert to_native(dense)[0] is dense[0]
    native = to_native(sparsify(nn.Linear(10, 10), num_weights=5))
    native.requires_grad_(False)
    assert count_weights(native) == 0


def test_a_native_net_is_not_sparsified_again():
    net = to_native(sparsify(nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10)), num_weights=30))
    with pytest.raises(InputError, match="sparse already"):
        sparsify(net, num_weights=20)
