import math

import pytest
import torch

from wider.errors import InputError
from wider.models import MLP, NTKLinear
from wider.randomness import default_generator_from, stream
from wider.sparsity import count_weights, sparsify, weight_layers


def images(*shape):
    return torch.randn(*shape, generator=stream(0, "images"))


def seeded(seed, **keywords):
    with default_generator_from(seed, "tests"):
        return MLP(**keywords)


@pytest.mark.parametrize(
    ("keywords", "num_weights", "num_biases"),
    [
        ({"width": 5}, 784 * 5 + 5 * 10, 5 + 10),
        ({"width": 80}, 63_520, 90),
        ({"width": 1, "in_features": 1, "num_classes": 1}, 2, 2),
        ({"width": 7, "in_features": 3, "num_classes": 2, "bias": False}, 35, 0),
        ({"width": 7, "in_features": 3, "num_classes": 2, "num_hidden_layers": 3}, 133, 23),
        ({"width": 5, "parametrization": "ntk"}, 3970, 15),
    ],
)
def test_parameters_by_hand(keywords, num_weights, num_biases):
    net = MLP(**keywords)
    assert count_weights(net) == num_weights
    assert sum(parameter.numel() for parameter in net.parameters()) == num_weights + num_biases


def test_layers_are_named_and_shaped_from_input_to_output():
    net = MLP(7, in_features=3, num_classes=2, num_hidden_layers=3)
    assert {name: tuple(layer.weight.shape) for name, layer in weight_layers(net).items()} == {
        "hidden.0": (7, 3),
        "hidden.1": (7, 7),
        "hidden.2": (7, 7),
        "output": (2, 7),
    }


@pytest.mark.parametrize("shape", [(4, 784), (4, 28, 28), (4, 1, 28, 28)])
def test_images_of_any_shape_are_flattened(shape):
    net = MLP(5)
    vectors = images(4, 784)
    assert net(vectors).shape == (4, 10)
    assert torch.equal(net(vectors.reshape(shape)), net(vectors))


def test_an_empty_batch_gives_no_scores():
    assert MLP(5)(torch.zeros(0, 784)).shape == (0, 10)


def test_a_relu_net_by_hand():
    net = MLP(2, in_features=2, num_classes=1)
    with torch.no_grad():
        net.hidden[0].weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 1.0]]))  # pyright: ignore
        net.hidden[0].bias.copy_(torch.tensor([0.5, -0.5]))  # pyright: ignore
        net.output.weight.copy_(torch.tensor([[3.0, -2.0]]))
        net.output.bias.fill_(0.25)
    # Hidden (1.5, -1.5) and (2.5, 0.5) before the ReLU.
    scores = net(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert scores.tolist() == [[4.75], [6.75]]


def test_every_hidden_layer_of_a_relu_net_is_rectified():
    net = MLP(6, in_features=3, num_classes=2, num_hidden_layers=2).double()
    vectors = images(5, 3).double()
    features = vectors
    for layer in net.hidden:
        features = (features @ layer.weight.T + layer.bias).clamp(min=0)  # pyright: ignore
    expected = features @ net.output.weight.T + net.output.bias
    torch.testing.assert_close(net(vectors), expected)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_an_identity_net_is_affine(parametrization):
    net = MLP(
        9,
        in_features=6,
        num_classes=4,
        num_hidden_layers=2,
        activation="identity",
        parametrization=parametrization,
    ).double()
    x, y = images(2, 5, 6).double()
    offset = net(torch.zeros(1, 6).double())
    torch.testing.assert_close(net(2 * x - 3 * y) - offset, 2 * net(x) - 3 * net(y) + offset)


def test_a_relu_net_is_not_affine():
    net = seeded(0, width=9, in_features=6, num_classes=4).double()
    x = images(5, 6).double()
    offset = net(torch.zeros(1, 6).double())
    assert (net(-x) + net(x) - 2 * offset).abs().max() > 0.01


def test_standard_layers_are_pytorchs_own():
    with default_generator_from(0, "tests"):
        expected = torch.nn.Linear(784, 5).weight
    assert torch.equal(weight_layers(seeded(0, width=5))["hidden.0"].weight, expected)


def test_an_ntk_layer_by_hand():
    layer = NTKLinear(4, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        layer.bias.fill_(0.5)
    assert layer(torch.tensor([1.0, 1.0, 1.0, -1.0])).item() == 2 / 2 + 0.5


def test_ntk_parameters_are_standard_normal():
    layer = seeded(0, width=300, parametrization="ntk").hidden[0]
    for values in (layer.weight, layer.bias):
        assert isinstance(values, torch.Tensor)
        size = values.numel()
        assert abs(values.mean()) < 4 / math.sqrt(size)
        assert abs(values.var() - 1) < 4 * math.sqrt(2 / size)


def ntk_variance(squared_norm, in_features, num_hidden_layers, activation, bias_variance):
    """The recursion q' = E[activation(z)^2] + bias variance, z ~ N(0, q), at any width.

    By symmetry E[relu(z)^2] = q / 2, given the layers below as well, so it is exact.
    """
    variance = squared_norm / in_features + bias_variance
    for _ in range(num_hidden_layers):
        variance = variance / (2 if activation == "relu" else 1) + bias_variance
    return variance


def assert_variance_over_nets(nets, vector, expected):
    """The mean square of the outputs over nets, within four standard errors."""
    squares = torch.stack([net(vector)[0].detach().double().square().mean() for net in nets])
    assert abs(squares.mean() - expected) < 4 * squares.std() / math.sqrt(len(squares))
    assert squares.std() / math.sqrt(len(squares)) < 0.05 * expected  # or it could not fail


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("num_hidden_layers", [1, 2])
def test_ntk_outputs_have_the_variance_of_the_closed_form(activation, num_hidden_layers, bias):
    vector = 2 * images(1, 16)
    keywords = {
        "width": 40,
        "in_features": 16,
        "num_hidden_layers": num_hidden_layers,
        "activation": activation,
        "bias": bias,
        "parametrization": "ntk",
    }
    nets = [seeded(seed, **keywords) for seed in range(500)]
    squared_norm = float(vector.square().sum())
    expected = ntk_variance(squared_norm, 16, num_hidden_layers, activation, float(bias))
    assert_variance_over_nets(nets, vector, expected)


def test_sparse_ntk_outputs_have_the_same_variance():
    vector = 2 * images(1, 16)
    nets = [
        sparsify(
            seeded(seed, width=40, in_features=16, bias=False, parametrization="ntk"),
            num_weights=260,
            allocation="proportional",
            seed=seed,
        )
        for seed in range(1000)
    ]
    expected = ntk_variance(float(vector.square().sum()), 16, 1, "relu", 0.0)
    assert_variance_over_nets(nets, vector, expected)


@pytest.mark.parametrize("name", ["width", "in_features", "num_classes", "num_hidden_layers"])
@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused_by_name(name, size):
    with pytest.raises(InputError, match=f"{name} is {size}; an MLP needs at least 1"):
        MLP(**{"width": 5, name: size})


def test_an_unknown_activation_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown activation 'tanh'; use 'relu' or 'identity'"):
        MLP(5, activation="tanh")  # pyright: ignore[reportArgumentType]


def test_an_unknown_parametrization_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown parametrization 'mup'; use 'standard' or 'ntk'"):
        MLP(5, parametrization="mup")  # pyright: ignore[reportArgumentType]


# Narrowed layers


@pytest.mark.parametrize(
    ("num_hidden_layers", "narrowed", "widths"),
    [
        (2, (3,), [3, 7]),
        (3, (3, 2), [3, 7, 2]),
        (4, (3, 2), [3, 7, 2, 7]),
        (5, (1, 2, 9), [1, 7, 2, 7, 9]),
    ],
)
def test_the_first_of_each_pair_of_hidden_layers_is_narrowed(num_hidden_layers, narrowed, widths):
    net = MLP(7, in_features=4, num_hidden_layers=num_hidden_layers, narrowed=narrowed)
    shapes = [tuple(layer.weight.shape) for layer in weight_layers(net).values()]
    assert shapes == list(zip([*widths, 10], [4, *widths], strict=True))
    assert net(images(2, 4)).shape == (2, 10)


@pytest.mark.parametrize("num_hidden_layers", [1, 2, 3, 4])
def test_the_usual_narrowed_widths_change_nothing(num_hidden_layers):
    usual = MLP.narrowed_widths(7, num_hidden_layers=num_hidden_layers, in_features=4)
    assert usual == (7,) * [0, 1, 2, 2][num_hidden_layers - 1]
    plain = seeded(3, width=7, in_features=4, num_hidden_layers=num_hidden_layers)
    same = seeded(3, width=7, in_features=4, num_hidden_layers=num_hidden_layers, narrowed=usual)
    assert list(plain.state_dict()) == list(same.state_dict())
    assert all(map(torch.equal, plain.state_dict().values(), same.state_dict().values()))


@pytest.mark.parametrize(
    ("num_hidden_layers", "narrowed", "message"),
    [
        (1, (3,), "narrowed has 1 widths; this MLP has 0 layers that can be narrowed"),
        (4, (3,), "narrowed has 1 widths; this MLP has 2 layers"),
        (2, (), "narrowed has 0 widths; this MLP has 1 layers"),
        (3, (3, 0), r"narrowed is \(3, 0\); every width must be at least 1"),
    ],
)
def test_wrong_narrowed_widths_are_refused(num_hidden_layers, narrowed, message):
    with pytest.raises(InputError, match=message):
        MLP(7, num_hidden_layers=num_hidden_layers, narrowed=narrowed)


def test_batch_norm_follows_the_activation_of_each_hidden_layer():
    net = MLP(6, 4, 3, num_hidden_layers=2, batch_norm=True)
    images = torch.randn(20, 4, generator=stream(0, "tests"))
    features = images
    for layer, norm in zip(net.hidden, net.norms, strict=True):
        features = torch.relu(features @ layer.weight.T + layer.bias)  # pyright: ignore
        mean, variance = features.mean(0), features.var(0, unbiased=False)
        features = (features - mean) / torch.sqrt(variance + norm.eps)  # pyright: ignore
    expected = features @ net.output.weight.T + net.output.bias
    torch.testing.assert_close(net(images), expected)
    assert count_weights(net) == 4 * 6 + 6 * 6 + 6 * 3  # its own parameters are no weights
    assert not MLP(6, 4, 3).norms


def test_narrowed_layers_have_norms_of_their_own_width():
    net = MLP(6, 4, 3, num_hidden_layers=2, batch_norm=True, narrowed=[2])
    assert [norm.num_features for norm in net.norms] == [2, 6]
