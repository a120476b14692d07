"""Masked modules as other tools see them: stored, loaded, copied, pickled, written to."""

import copy
import io
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import wider
from wider.randomness import default_generator_from, stream


class Layers:
    """A layer of each kind that can be masked, in a net of its own, with inputs."""

    @staticmethod
    def linear() -> tuple[nn.Module, Tensor]:
        return nn.Linear(8, 6), numbers(3, 8)

    @staticmethod
    def convolution() -> tuple[nn.Module, Tensor]:
        return nn.Conv2d(3, 4, 3), numbers(2, 3, 5, 5)

    @staticmethod
    def recurrent() -> tuple[nn.Module, Tensor]:
        return nn.LSTM(4, 5, num_layers=2), numbers(3, 2, 4)

    @staticmethod
    def transformer() -> tuple[nn.Module, Tensor]:
        return nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True), numbers(2, 3, 8)


every_layer = pytest.mark.parametrize(
    "make", [Layers.linear, Layers.convolution, Layers.recurrent, Layers.transformer]
)
Make = Callable[[], tuple[nn.Module, Tensor]]


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=stream(0, "inputs"))


def plain(make: Make, seed: int = 0) -> nn.Module:
    with default_generator_from(seed, "tests"):
        return nn.Sequential(make()[0])


def sparse(make: Make, seed: int = 0) -> nn.Module:
    net = plain(make, seed)
    return wider.sparsify(net, num_weights=wider.count_weights(net) // 3, seed=seed)


def outputs(net: nn.Module, make: Make) -> Tensor:
    found = net(make()[1])
    return found if isinstance(found, Tensor) else found[0]


def assert_same_net(one: nn.Module, other: nn.Module, make: Make) -> None:
    assert torch.equal(outputs(one, make), outputs(other, make))
    assert wider.connectivity(one) == wider.connectivity(other)
    assert list(one.state_dict()) == list(other.state_dict())
    assert [name for name, _ in one.named_parameters()] == [
        name for name, _ in other.named_parameters()
    ]


# What is stored, and what loads


@every_layer
def test_the_state_dict_has_the_ordinary_names_with_zeros_in_place(make: Make):
    net, names = sparse(make), list(plain(make).state_dict())
    state = net.state_dict()
    assert [name for name in state if ".0.mask" not in name] == names
    dense = plain(make)
    dense.load_state_dict({name: state[name] for name in names})
    assert torch.equal(outputs(dense, make), outputs(net, make))


def test_a_state_dict_holds_the_nets_own_tensors_and_zeros_whatever_lies_in_removed_places():
    net = sparse(Layers.linear)
    mask = wider.sparsity.mask_of(net[0])  # pyright: ignore
    assert mask is not None
    with torch.no_grad():
        net.get_parameter("0.parametrizations.weight.original").masked_fill_(~mask, float("nan"))
    weight = net.state_dict()["0.weight"]
    assert torch.equal(weight != 0, mask)
    weight.mul_(2)  # as an average of weights does
    assert torch.equal(net.state_dict()["0.weight"], weight)


@every_layer
def test_a_dense_checkpoint_loads_and_the_mask_is_applied(make: Make):
    net, dense = sparse(make), plain(make, seed=1)
    before = wider.connectivity(net)
    assert not net.load_state_dict(dense.state_dict()).missing_keys
    assert wider.connectivity(net) == before
    for name, value in wider.to_dense(net).state_dict().items():
        loaded = dense.state_dict()[name]
        assert torch.equal(value, torch.where(value != 0, loaded, 0.0))


@every_layer
def test_a_sparse_checkpoint_loads_with_its_masks_also_by_the_names_of_parametrize(make: Make):
    net = sparse(make)
    other = sparse(make, seed=1)
    other.load_state_dict(net.state_dict())
    assert_same_net(other, net, make)
    old = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    other = sparse(make, seed=1)
    other.load_state_dict(old)
    assert_same_net(other, net, make)


def test_a_checkpoint_of_another_shape_is_refused_as_by_a_dense_net():
    with pytest.raises(RuntimeError, match="size mismatch for 0"):
        sparse(Layers.linear).load_state_dict(nn.Sequential(nn.Linear(8, 7)).state_dict())


@every_layer
def test_a_state_dict_taken_before_the_backward_pass_does_not_disturb_it(make: Make):
    net, other = sparse(make), sparse(make)
    loss = outputs(net, make).sum()
    net.state_dict()
    loss.backward()
    outputs(other, make).sum().backward()
    for one, same in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(one.grad, same.grad)  # pyright: ignore[reportArgumentType]


# Copies


@every_layer
def test_a_net_can_be_pickled_and_saved_whole(make: Make):
    net = sparse(make)
    assert_same_net(pickle.loads(pickle.dumps(net)), net, make)  # noqa: S301
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    found = torch.load(file, weights_only=False)
    assert_same_net(found, net, make)
    found.load_state_dict(plain(make).state_dict())  # its hooks are there, once
    assert_same_net(copy.deepcopy(found), found, make)


def test_a_net_goes_to_another_process():
    net = sparse(Layers.linear)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(wider.count_weights, net).result() == wider.count_weights(net)


def test_tied_layers_stay_tied_in_a_pickle():
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    net[1].weight = net[0].weight
    wider.sparsify(net, num_weights=9)
    found = pickle.loads(pickle.dumps(net))  # noqa: S301
    assert wider.count_weights(found) == 9
    stored = [part.parametrizations.weight.original for part in found]
    assert stored[0] is stored[1]


def test_a_second_parametrisation_is_refused_where_it_would_be_lost():
    net = sparse(Layers.linear)
    parametrizations.orthogonal(net.get_submodule("0"), "weight")
    with pytest.raises(wider.InputError, match="a Linear has a mask and another parametrisation"):
        pickle.dumps(net)
    with pytest.raises(wider.InputError, match="layer '0' has a mask and another parametrisation"):
        wider.to_dense(net)


# The dense form


@every_layer
def test_the_dense_form_is_the_plain_net_and_the_sparse_one_is_untouched(make: Make):
    net = sparse(make)
    before = pickle.dumps(net.state_dict())
    dense = wider.to_dense(net)
    fresh = plain(make)
    assert list(dense.state_dict()) == list(fresh.state_dict())
    assert [type(part) for part in dense.modules()] == [type(part) for part in fresh.modules()]
    assert torch.equal(outputs(dense, make), outputs(net, make))
    nonzero = sum(int(p.count_nonzero()) for p in dense.parameters() if p.dim() > 1)
    assert nonzero == wider.count_weights(net)
    with torch.no_grad():
        for parameter in dense.parameters():
            parameter.fill_(1.0)
    assert pickle.dumps(net.state_dict()) == before
    assert wider.sparsify(dense, num_weights=20)  # as any other
    outputs(dense, make).sum().backward()


def test_the_dense_form_keeps_what_is_frozen_and_tied_and_forgets_what_was_left_out():
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2))
    net[1].weight = net[0].weight
    wider.sparsify(net, num_weights=9, exclude=["2"])
    net[0].parametrizations.weight.original.requires_grad_(False)  # pyright: ignore
    dense = wider.to_dense(net)
    assert dense[0].weight is dense[1].weight
    assert not dense[0].weight.requires_grad
    assert wider.count_weights(dense) == 12
    net.requires_grad_(True)
    assert wider.count_weights(net) == 9


# Writes


WRITES: dict[str, Callable[[nn.Linear], object]] = {
    "normal_": lambda layer: nn.init.normal_(layer.weight),
    "kaiming_uniform_": lambda layer: nn.init.kaiming_uniform_(layer.weight),
    "zeros_": lambda layer: nn.init.zeros_(layer.weight),
    "orthogonal_": lambda layer: nn.init.orthogonal_(layer.weight),
    "data +=": lambda layer: exec("layer.weight.data += 1", {"layer": layer}),
    "data =": lambda layer: setattr(layer.weight, "data", torch.ones(6, 8)),
    "data.copy_": lambda layer: layer.weight.data.copy_(torch.ones(6, 8)),
    "item": lambda layer: layer.weight.__setitem__((0, 0), 1.0),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_would_be_lost_raises(write: str):
    layer = sparse(Layers.linear)[0]  # pyright: ignore[reportIndexIssue]
    with pytest.raises(wider.InputError, match=r"6, 8\) is computed .* assign it whole"):
        WRITES[write](layer)


def test_a_weight_that_is_assigned_takes_effect():
    layer = sparse(Layers.linear)[0]  # pyright: ignore[reportIndexIssue]
    with torch.no_grad():
        layer.weight = torch.ones(6, 8)
    assert torch.equal(layer.weight, wider.sparsity.mask_of(layer) + 0.0)  # pyright: ignore


def test_what_is_computed_from_a_masked_weight_is_a_plain_tensor():
    layer = sparse(Layers.linear)[0]  # pyright: ignore[reportIndexIssue]
    assert type(layer.weight * 2) is type(layer(numbers(3, 8))) is Tensor
    assert torch.equal((layer.weight * 1).add_(1), layer.weight + 1)


@every_layer
def test_parameters_drawn_again_are_those_of_a_fresh_sparse_net(make: Make):
    net = sparse(make)
    expected = sparse(make, seed=0)
    fresh = plain(make, seed=0)
    layers = [part for part in net.modules() if hasattr(part, "reset_parameters")]
    for part in layers:
        with default_generator_from(3, "tests"):
            part.reset_parameters()  # pyright: ignore[reportCallIssue]
    for part in [part for part in fresh.modules() if hasattr(part, "reset_parameters")]:
        with default_generator_from(3, "tests"):
            part.reset_parameters()  # pyright: ignore[reportCallIssue]
    wider.sparsify(fresh, num_weights=wider.count_weights(expected), seed=0)
    if make is not Layers.transformer:  # attention's own reset has another name
        for name, value in fresh.state_dict().items():
            torch.testing.assert_close(net.state_dict()[name], value, msg=name)
    assert wider.connectivity(net) == wider.connectivity(expected)
