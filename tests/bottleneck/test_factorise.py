import copy
import math
import pickle
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

import wider
from wider.bottleneck import LinearBottleneck, factorise, factorised_weights
from wider.errors import InputError
from wider.models import NTKLinear
from wider.randomness import default_generator_from, stream
from wider.sparsity import count_weights, multiply_adds, sparsify, weight_layers


def vectors(*shape):
    return torch.randn(*shape, generator=stream(0, "images"), dtype=torch.float64)


def mlp():
    with default_generator_from(0, "tests"):
        return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))


def same_state(one, other):
    return list(one) == list(other) and all(map(torch.equal, one.values(), other.values()))


def copied_state(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def global_states():
    return torch.get_rng_state().tolist(), pickle.dumps(np.random.get_state()), random.getstate()  # noqa: NPY002


def part_of(net, name):
    part = net.get_submodule(name)
    assert isinstance(part, LinearBottleneck)
    return part


LAYERS = [
    lambda: nn.Linear(12, 9),
    lambda: nn.Linear(5, 30, bias=False),
    lambda: nn.Conv2d(3, 8, 3),
    lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
    lambda: nn.Conv2d(4, 6, (1, 3), stride=(1, 2), padding=(0, 2)),
    lambda: nn.Conv2d(4, 6, 3, padding="same", dilation=2),
    lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
    lambda: nn.Conv2d(4, 6, 3, padding=2, padding_mode="reflect"),
    lambda: nn.Conv2d(4, 6, 1),
]
every_layer = pytest.mark.parametrize("make", LAYERS)


def batch_for(layer):
    if isinstance(layer, nn.Linear):
        return vectors(2, 7, layer.in_features)
    return vectors(2, layer.in_channels, 7, 9)


def full_rank(layer):
    return min(len(layer.weight), layer.weight[0].numel())


# What takes the place of a layer


@every_layer
def test_at_full_rank_nothing_is_lost(make):
    """Any weight can be written as W2 W1, and then the two compute what the layer did."""
    layer = make().double()
    weight = layer.weight.detach().flatten(1)
    net = factorise(nn.Sequential(copy.deepcopy(layer)), {"0": full_rank(layer)})
    part = part_of(net, "0")
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    with torch.no_grad():
        part.down.weight.copy_((values[:, None] * right).view_as(part.down.weight))
        part.up.weight.copy_(left.view_as(part.up.weight))
        if layer.bias is not None and part.up.bias is not None:
            part.up.bias.copy_(layer.bias)
    batch = batch_for(layer)
    torch.testing.assert_close(net(batch), layer(batch), rtol=1e-12, atol=1e-12)


@every_layer
@pytest.mark.parametrize("rank", [1, 2])
def test_a_bottleneck_is_one_linear_map_of_that_rank(make, rank):
    layer = make().double()
    net = factorise(nn.Sequential(copy.deepcopy(layer)), {"0": rank})
    part = part_of(net, "0")
    product = part.up.weight.detach().flatten(1) @ part.down.weight.detach().flatten(1)
    assert product.shape == layer.weight.flatten(1).shape
    assert torch.linalg.matrix_rank(product) == rank
    with torch.no_grad():
        layer.weight.copy_(product.view_as(layer.weight))
        if layer.bias is not None and part.up.bias is not None:
            layer.bias.copy_(part.up.bias)
    batch = batch_for(layer)
    torch.testing.assert_close(net(batch), layer(batch), rtol=1e-12, atol=1e-12)


@every_layer
def test_weights_by_hand_and_a_bias_where_there_was_one(make):
    layer = make()
    net = factorise(nn.Sequential(copy.deepcopy(layer)), {"0": 2})
    outputs, inputs = layer.weight.flatten(1).shape
    assert count_weights(net) == 2 * (outputs + inputs)
    assert factorised_weights({"0": layer.weight.shape}, {"0": 2}) == 2 * (outputs + inputs)
    assert part_of(net, "0").down.bias is None
    assert (part_of(net, "0").up.bias is None) == (layer.bias is None)


def test_the_docstrings_net():
    net = nn.Sequential(nn.Linear(784, 80), nn.ReLU(), nn.Linear(80, 10))
    assert count_weights(factorise(net, {"0": 4})) == 4 * 864 + 800 == 4256
    assert list(net.state_dict()) == [
        "0.down.weight",
        "0.up.weight",
        "0.up.bias",
        "2.weight",
        "2.bias",
    ]


def test_a_bare_layer_is_replaced():
    new = factorise(nn.Linear(6, 4), {"": 2})
    assert isinstance(new, LinearBottleneck)
    assert new(torch.zeros(3, 6)).shape == (3, 4)


def test_the_net_is_the_same_object_and_its_other_layers_are_untouched():
    net = mlp()
    before = copied_state(net[2])
    last = net[2]
    assert factorise(net, {"0": 3}) is net
    assert net[2] is last
    assert same_state(net[2].state_dict(), before)
    assert list(weight_layers(net)) == ["0.down", "0.up", "2"]


def test_a_layer_used_twice_becomes_one_bottleneck_used_twice():
    layer = nn.Linear(6, 6)
    net = factorise(nn.Sequential(layer, nn.ReLU(), layer), {"0": 2})
    assert net[0] is net[2]
    assert count_weights(net) == 24


def test_layers_deep_in_a_net_are_found():
    net = wider.models.ResNet18(2)
    factorise(net, {"stages.1.0.shortcut.convolution": 1, "stages.1.0.convolution_1": 2})
    part = part_of(net, "stages.1.0.convolution_1")
    assert isinstance(part.down, nn.Conv2d)
    assert part.down.stride == (2, 2)
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_dtype_mode_and_gradients():
    net = factorise(nn.Sequential(nn.Linear(6, 4)).double().eval(), {"0": 2})
    assert all(parameter.dtype == torch.float64 for parameter in net.parameters())
    assert not any(part.training for part in net.modules())
    net(vectors(3, 6)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_a_net_without_memory_stays_without():
    with torch.device("meta"):
        net = factorise(nn.Sequential(nn.Linear(6, 4)), {"0": 2})
    assert all(parameter.is_meta for parameter in net.parameters())


def test_multiply_adds_of_a_bottleneck():
    net = factorise(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1)), {"0": 2})
    assert multiply_adds(net, (3, 5, 4)) == {"0.down": 2 * 27 * 20, "0.up": 16 * 20, "": 70 * 20}


def test_a_factorised_net_can_be_sparsified():
    net = sparsify(factorise(mlp(), {"0": 3, "2": 2}), num_weights=100)
    assert count_weights(net) == 100
    assert net(torch.zeros(2, 20)).shape == (2, 5)


def test_a_factorised_net_trains():
    net = factorise(mlp(), {"0": 10, "2": 4}).double()
    optimizer = torch.optim.SGD(net.parameters(), 0.5)
    images, labels, losses = vectors(20, 20), torch.arange(20) % 5, []
    for _ in range(60):
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_a_state_dict_goes_round():
    one, other = (factorise(mlp(), {"0": 3}, seed=seed) for seed in (0, 1))
    other.load_state_dict(one.state_dict())
    images = torch.randn(4, 20, generator=stream(0, "images"))
    assert torch.equal(one(images), other(images))


# The initial weights


@pytest.mark.parametrize(
    ("layer", "rank"),
    [(lambda: nn.Linear(300, 400), 50), (lambda: nn.Conv2d(30, 400, 3), 60)],
)
def test_parts_start_uniform_with_their_own_fan_in(layer, rank):
    part = part_of(factorise(nn.Sequential(layer()), {"0": rank}), "0")
    tensors = {"down": part.down.weight, "up": part.up.weight, "bias": part.up.bias}
    for name, tensor in tensors.items():
        assert tensor is not None
        fan_in = rank if name != "down" else part.down.weight[0].numel()
        values = tensor.detach().double().flatten()
        bound = 1 / math.sqrt(fan_in)
        assert values.abs().max() <= bound * (1 + 1e-6)
        assert values.abs().max() > bound * (1 - 20 / len(values))  # missed once in exp(20) nets
        # A uniform's kurtosis is 9/5, so the standard error of its deviation s is s sqrt(0.2 / n).
        deviation = bound / math.sqrt(3)
        assert abs(values.std() - deviation) < 4 * deviation * math.sqrt(0.2 / len(values))
        assert abs(values.mean()) < 4 * deviation / math.sqrt(len(values))


def test_the_seed_alone_decides_the_initial_weights():
    one, same = factorise(mlp(), {"0": 3, "2": 2}, seed=4), mlp()
    with torch.no_grad():
        for parameter in same.parameters():
            parameter.zero_()
    factorise(same, {"0": 3, "2": 2}, seed=4)
    assert same_state(one.state_dict(), same.state_dict())
    other = factorise(mlp(), {"0": 3, "2": 2}, seed=5).state_dict()
    assert not any(torch.equal(tensor, other[name]) for name, tensor in one.state_dict().items())


def test_a_layers_initial_weights_do_not_depend_on_the_other_layers():
    alone, both = factorise(mlp(), {"2": 2}), factorise(mlp(), {"0": 3, "2": 2})
    assert same_state(alone[2].state_dict(), both[2].state_dict())


def test_layers_and_parts_of_one_shape_start_differently():
    net = factorise(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), {"0": 4, "1": 4})
    weights = [layer.weight for layer in weight_layers(net).values()]
    assert len({tuple(weight.flatten().tolist()) for weight in weights}) == 4


def test_no_global_generator_is_touched_or_asked():
    net, other = mlp(), mlp()
    before = global_states()
    factorise(net, {"0": 3})
    assert global_states() == before
    with default_generator_from(99, "elsewhere"):
        factorise(other, {"0": 3})
    assert same_state(net.state_dict(), other.state_dict())


# What is refused, and that the net is then as it was


def tied():
    layers = nn.Linear(6, 6), nn.Linear(6, 6)
    layers[1].weight = layers[0].weight
    return nn.Sequential(*layers)


def tied_bias():
    layers = nn.Linear(6, 6), nn.Linear(6, 6)
    layers[1].bias = layers[0].bias
    return nn.Sequential(*layers)


def native():
    return wider.to_native(sparsify(nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6)), num_weights=6))


def frozen_bias():
    net = nn.Sequential(nn.Linear(6, 6))
    net[0].bias.requires_grad_(False)
    return net


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (tied, r"'0\.weight' and '1\.weight' are one tied tensor.*give each layer its own"),
        (tied_bias, r"'0\.bias' and '1\.bias' are one tied tensor"),
        (native, r"layer '0' is sparse already \(native\): start from a plain net"),
        (lambda: sparsify(mlp(), num_weights=20), r"layer '0' is parametrised"),
        (
            lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 6))),
            r"layer '0' is parametrised",
        ),
        (
            lambda: nn.Sequential(prune.random_unstructured(nn.Linear(6, 6), "weight", amount=9)),
            r"layer '0' has a weight that is recomputed by a hook: remove the hook",
        ),
        (lambda: nn.Sequential(nn.Linear(6, 6).requires_grad_(False)), "layer '0' is frozen"),
        (frozen_bias, "layer '0' is frozen"),
        (lambda: nn.Sequential(nn.Conv2d(6, 6, 3, groups=3)), "layer '0' has 3 groups.*leave it"),
        (
            lambda: nn.Sequential(nn.Conv1d(6, 6, 3)),
            "layer '0' is a Conv1d; only nn.Linear, nn.Conv2d and",
        ),
        (lambda: nn.Sequential(nn.ConvTranspose2d(6, 6, 3)), "layer '0' is a ConvTranspose2d"),
        (lambda: nn.Sequential(NTKLinear(6, 6)), "layer '0' is a NTKLinear.*may do more"),
        (lambda: nn.Sequential(nn.ReLU()), "layer '0' is a ReLU"),
    ],
)
def test_a_layer_that_cannot_be_factorised_is_refused(build, message):
    net = build()
    before, kinds = copied_state(net), [type(part) for part in net.modules()]
    with pytest.raises(InputError, match=message):
        factorise(net, {"0": 2})
    assert same_state(net.state_dict(), before)
    assert [type(part) for part in net.modules()] == kinds


@every_layer
def test_the_weight_of_a_bottleneck_is_that_of_the_layer_that_it_is(make):
    net = nn.Sequential(make()).double()
    x = batch_for(net[0])
    factorise(net, {"0": 2})
    part = part_of(net, "0")
    layer = make().double()
    layer.load_state_dict(
        {"weight": part.weight} | ({} if part.bias is None else {"bias": part.bias})
    )
    torch.testing.assert_close(net(x), layer(x))


def test_attention_computes_with_the_bottleneck_of_its_last_projection():
    with default_generator_from(0, "tests"):
        net = nn.MultiheadAttention(8, 2).double()
    x = vectors(3, 2, 8)
    plain = copy.deepcopy(net)
    factorise(net, {"out_proj": 2})
    part = part_of(net, "out_proj")
    plain.out_proj.load_state_dict({"weight": part.weight, "bias": part.bias})
    torch.testing.assert_close(net(x, x, x), plain(x, x, x))
    net(x, x, x)[0].sum().backward()
    gradient = part.down.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_a_lazy_layer_is_refused_until_it_knows_its_shape():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "lazy modules are a new feature"
        net = nn.Sequential(nn.LazyLinear(6))
    with pytest.raises(InputError, match="'0' does not know its shape yet: run one batch"):
        factorise(net, {"0": 2})
    net(torch.zeros(1, 6))
    assert count_weights(factorise(net, {"0": 2})) == 24


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ({"0": 0}, "layer '0' cannot have 0 channels; use 1 to 20, the smaller side"),
        ({"0": 21}, "layer '0' cannot have 21 channels; use 1 to 20"),
        ({"0": 3, "2": -1}, "layer '2' cannot have -1 channels; use 1 to 5"),
        ({"0": 3, "hidden": 2}, "layer 'hidden' that the net does not have.* layers are '0', '2'"),
    ],
)
def test_an_impossible_wish_is_refused_and_the_net_left_as_it_was(ranks, message):
    net = mlp()
    before = copied_state(net)
    with pytest.raises(InputError, match=message):
        factorise(net, ranks)
    assert same_state(net.state_dict(), before)


def test_a_tied_tensor_elsewhere_is_no_obstacle():
    net = nn.Sequential(*tied(), nn.Linear(6, 4))
    assert count_weights(factorise(net, {"2": 2})) == 36 + 20
