import copy

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from wider.randomness import default_generator_from, stream
from wider.sparsity import (
    Mask,
    count_weights,
    mask_of,
    sparsify,
    stored_weight,
    weight_layers,
)

SGD, LBFGS = torch.optim.SGD, torch.optim.LBFGS
OPTIMISERS = {
    "sgd": (SGD, {"lr": 0.2}),
    "sgd_momentum": (
        SGD,
        {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-3},
    ),
    "adam": (torch.optim.Adam, {"lr": 0.01, "weight_decay": 5e-3}),
    "amsgrad": (torch.optim.Adam, {"lr": 0.01, "amsgrad": True}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "adagrad": (torch.optim.Adagrad, {"lr": 0.01, "weight_decay": 5e-3}),
    "rmsprop": (
        torch.optim.RMSprop,
        {"lr": 0.01, "momentum": 0.9, "centered": True, "weight_decay": 5e-3},
    ),
    "lbfgs": (LBFGS, {"lr": 0.5, "history_size": 5}),
}


def sparse_net(seed=0, num_weights=60, mask_seed=0):
    with default_generator_from(seed, "tests"):
        net = nn.Sequential(nn.Linear(10, 12), nn.Tanh(), nn.Linear(12, 3))
    return sparsify(net, num_weights=num_weights, seed=mask_seed)


def batch():
    generator = stream(0, "batch")
    return torch.randn(32, 10, generator=generator), torch.randn(32, 3, generator=generator)


def mask_on(layer):
    mask = mask_of(layer)
    assert mask is not None
    return mask


@pytest.mark.parametrize("name", OPTIMISERS)
def test_removed_weights_stay_zero_under_every_optimiser_and_kept_ones_move(name):
    net = sparse_net()
    images, targets = batch()
    before = {key: layer.weight.detach().clone() for key, layer in weight_layers(net).items()}
    optimiser_class, settings = OPTIMISERS[name]
    optimiser = optimiser_class(net.parameters(), **settings)

    def loss():
        optimiser.zero_grad()
        value = (net(images) - targets).square().mean()
        value.backward()
        return value

    first = loss().item()
    for _ in range(20):
        optimiser.step(loss)
    assert loss().item() < 0.9 * first
    for key, layer in weight_layers(net).items():
        mask = mask_on(layer)
        assert (layer.weight[~mask] == 0).all()
        assert (stored_weight(layer)[~mask] == 0).all()
        assert (layer.weight[mask] != before[key][mask]).all()
    assert count_weights(net) == 60


def test_gradients_are_those_of_the_kept_weights_and_zero_elsewhere():
    layer = sparsify(nn.Linear(10, 12), num_weights=40)
    images = torch.randn(32, 10, generator=stream(0, "images"))
    layer(images).pow(3).sum().backward()
    leaf = layer.weight.detach().clone().requires_grad_()
    nn.functional.linear(images, leaf, layer.bias.detach()).pow(3).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.all()  # a dense layer would move the removed weights too
    gradient = stored_weight(layer).grad
    assert gradient is not None
    assert (gradient[~mask_on(layer)] == 0).all()
    assert torch.equal(gradient[mask_on(layer)], leaf.grad[mask_on(layer)])


def test_assigning_a_weight_cannot_revive_removed_ones():
    layer = sparsify(nn.Linear(10, 12), num_weights=40)
    layer.weight = torch.full((12, 10), 7.0)  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.equal(layer.weight, 7.0 * mask_on(layer))
    assert torch.equal(stored_weight(layer), 7.0 * mask_on(layer))


def test_a_removed_weight_written_into_storage_has_no_effect():
    layer = sparsify(nn.Linear(10, 12), num_weights=40)
    with torch.no_grad():
        stored_weight(layer).fill_(7.0)
    assert torch.equal(layer.weight, 7.0 * mask_on(layer))


def test_the_mask_is_in_the_state_dict_as_bools():
    net = sparse_net()
    state = net.state_dict()
    masks = {name: tensor for name, tensor in state.items() if name.endswith(".mask")}
    assert len(masks) == 2
    assert all(mask.dtype == torch.bool for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == 60


def test_a_safetensors_file_brings_weights_and_masks_into_a_net_of_another_seed(tmp_path):
    images, _ = batch()
    saved, other = sparse_net(seed=0, mask_seed=0), sparse_net(seed=1, mask_seed=1)
    assert not torch.equal(saved(images), other(images))
    save_file(saved.state_dict(), tmp_path / "net.safetensors")
    other.load_state_dict(load_file(tmp_path / "net.safetensors"))
    assert torch.equal(saved(images), other(images))
    for name, layer in weight_layers(saved).items():
        assert torch.equal(mask_on(layer), mask_on(weight_layers(other)[name]))


def test_a_deep_copy_is_independent():
    net = sparse_net()
    twin = copy.deepcopy(net)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert all(torch.equal(tensor, before[name]) for name, tensor in twin.state_dict().items())
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            tensor.zero_()
    assert count_weights(twin) == 0
    assert count_weights(net) == 60
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_change_of_dtype_leaves_the_mask_a_mask(dtype):
    net = sparse_net()
    before = {name: mask_on(layer).clone() for name, layer in weight_layers(net).items()}
    net.to(dtype)
    for name, layer in weight_layers(net).items():
        assert layer.weight.dtype == dtype
        assert mask_on(layer).dtype == torch.bool
        assert torch.equal(mask_on(layer), before[name])
        assert (layer.weight[~mask_on(layer)] == 0).all()


def test_float64_outputs_agree_with_float32():
    images, _ = batch()
    net = sparse_net()
    single = net(images)
    torch.testing.assert_close(net.double()(images.double()).float(), single)


def test_training_and_evaluation_are_the_same():
    images, _ = batch()
    net = sparse_net()
    assert torch.equal(net.train()(images), net.eval()(images))


def test_the_weight_is_what_the_layer_computes_with():
    layer = sparsify(nn.Linear(10, 12), num_weights=40)
    images, _ = batch()
    by_hand = images @ layer.weight.T + layer.bias
    torch.testing.assert_close(layer(images), by_hand)
    moved = images.clone()
    column = int((~mask_on(layer)[0]).nonzero()[0])
    moved[:, column] += 100  # an input that the first output is not connected to
    assert torch.equal(layer(moved)[:, 0], layer(images)[:, 0])


def test_a_dense_or_otherwise_parametrised_layer_has_no_mask():
    assert mask_of(nn.Linear(3, 3)) is None
    assert mask_of(nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))) is None
    assert mask_of(nn.ReLU()) is None


def test_a_mask_can_be_used_by_hand():
    layer = nn.Linear(4, 4)
    mask = torch.eye(4, dtype=torch.bool)
    nn.utils.parametrize.register_parametrization(layer, "weight", Mask(mask))
    assert torch.equal(mask_on(layer), mask)
    assert torch.equal(layer.weight, layer.weight.diag().diag())
    assert count_weights(layer) == 4
    assert torch.equal(layer.weight.diag(), stored_weight(layer).diag())


@pytest.mark.parametrize("stray", [3.0, float("nan"), float("inf")])
def test_removed_means_removed_whatever_is_stored_there(stray):
    # Optimisers that mix the entries of a matrix, such as Muon, leave something everywhere.
    net = sparse_net()
    expected, (inputs, targets) = copy.deepcopy(net), batch()
    for layer in weight_layers(net).values():
        mask = mask_of(layer)
        assert mask is not None
        with torch.no_grad():
            stored_weight(layer)[~mask] = stray
    assert torch.equal(net(inputs), expected(inputs))
    (net(inputs) - targets).square().sum().backward()
    for layer in weight_layers(net).values():
        mask, gradient = mask_of(layer), stored_weight(layer).grad
        assert mask is not None
        assert gradient is not None
        assert gradient.isfinite().all()
        assert not gradient[~mask].any()
    assert count_weights(net) == count_weights(expected)


def test_muon_writes_into_the_removed_places_and_they_stay_removed():
    with default_generator_from(0, "tests"):
        net = nn.Sequential(nn.Linear(10, 12, bias=False), nn.Tanh(), nn.Linear(12, 3, bias=False))
    sparsify(net, num_weights=60)
    inputs, targets = batch()
    optimiser = torch.optim.Muon(net.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = (net(inputs) - targets).square().mean()
        loss.backward()
        losses.append(loss.item())
        optimiser.step()
    assert losses[-1] < losses[0]
    first, last = weight_layers(net).values()
    assert stored_weight(first)[~mask_on(first)].any()
    assert stored_weight(last)[~mask_on(last)].any()
    assert int(first.weight.count_nonzero()) + int(last.weight.count_nonzero()) == 60
    by_hand = [torch.where(mask_on(each), stored_weight(each), 0.0) for each in (first, last)]
    assert torch.equal(net(inputs), (inputs @ by_hand[0].T).tanh() @ by_hand[1].T)
