import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from wider.errors import InputError
from wider.models import MLP, NTKLinear, ResNet18
from wider.native import SparseConv2d, SparseLinear
from wider.randomness import default_generator_from, stream
from wider.sparsity import mask_of, sparsify, to_native
from wider.theory import empirical_kernel

KINDS = ["conjugate", "tangent"]


def inputs(*shape):
    return torch.randn(*shape, generator=stream(0, "inputs"))


def seeded(make):
    with default_generator_from(0, "tests"):
        return make()


def mlp(**keywords):
    return seeded(lambda: MLP(8, in_features=6, num_classes=3, num_hidden_layers=2, **keywords))


def masked_mlp():
    return sparsify(mlp(), num_weights=50)


def convolutional():
    """Of which one weight is frozen, one layer runs twice, and outputs are images."""
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=True),
        nn.Conv2d(3, 3, 3, stride=2),
        nn.Dropout(),
        nn.Conv2d(3, 2, 1),
    )
    net[3].weight.requires_grad_(False)
    net.append(nn.Conv2d(2, 2, 1)).append(net[6])
    return net


def resnet():
    """With running statistics that differ from those of any batch."""
    net = ResNet18(2, num_classes=4)
    with torch.no_grad():
        net(inputs(6, 3, 8, 8) + 1)
    return net


NETS = {
    "mlp": (mlp, (6,)),
    "masked": (masked_mlp, (6,)),
    "convolutional": (convolutional, (2, 5, 5)),
    "resnet": (resnet, (3, 8, 8)),
}


@pytest.fixture(params=NETS)
def net_and_shape(request):
    make, shape = NETS[request.param]
    return seeded(make), shape


def naive_tangent_kernel(module, x, y):
    """By a loop over pairs, outputs and parameters, with plain autograd."""
    module = module.double().eval()
    parameters = [each for each in module.parameters() if each.requires_grad]

    def gradients(one):
        outputs = module(one[None].double()).flatten()
        return [torch.autograd.grad(out, parameters, retain_graph=True) for out in outputs]

    kernel = torch.zeros(len(x), len(y), dtype=torch.float64)
    for row, of_x in enumerate(map(gradients, x)):
        for column, of_y in enumerate(map(gradients, y)):
            for x_output, y_output in zip(of_x, of_y, strict=True):
                products = [(a * b).sum() for a, b in zip(x_output, y_output, strict=True)]
                kernel[row, column] += sum(products) / len(of_x)
    return kernel


@pytest.mark.parametrize("bias", [True, False])
def test_the_tangent_kernel_of_a_linear_layer_by_hand(bias):
    x, y = inputs(2, 3, 4).double()
    kernel = empirical_kernel(nn.Linear(4, 5, bias=bias), x, y, kind="tangent")
    torch.testing.assert_close(kernel, x @ y.T + float(bias))


def test_the_tangent_kernel_of_a_linear_layer_in_ntk_parametrisation_by_hand():
    x, y = inputs(2, 3, 4).double()
    torch.testing.assert_close(
        empirical_kernel(NTKLinear(4, 5), x, y, kind="tangent"), x @ y.T / 4 + 1
    )


def test_removed_weights_count_nothing_in_the_tangent_kernel():
    x, y = inputs(2, 3, 6).double()
    layer = sparsify(nn.Linear(6, 4, bias=False), num_weights=9)
    mask = mask_of(layer)
    assert mask is not None
    assert mask.sum() == 9
    expected = sum((x * row) @ (y * row).T for row in mask) / 4
    torch.testing.assert_close(empirical_kernel(layer, x, y, kind="tangent"), expected)


def test_the_tangent_kernel_by_naive_loops(net_and_shape):
    net, shape = net_and_shape
    x, y = inputs(5, *shape).split([3, 2])
    kernel = empirical_kernel(net, x, y, kind="tangent")
    torch.testing.assert_close(kernel, naive_tangent_kernel(net, x, y))


def test_the_conjugate_kernel_of_one_hidden_layer_by_its_formula():
    net = seeded(lambda: MLP(7, in_features=6, num_classes=3, parametrization="ntk"))
    x, y = inputs(5, 6).double().split([3, 2])
    weight, bias = (each.detach().double() for each in net.hidden[0].parameters())
    of_x, of_y = (((each @ weight.T) / 6**0.5 + bias).clamp(min=0) for each in (x, y))
    torch.testing.assert_close(empirical_kernel(net, x, y), of_x @ of_y.T / 7)


def test_the_features_of_a_convolution_are_flattened():
    net = seeded(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(True), nn.Conv2d(3, 1, 2)))
    x = inputs(4, 2, 5, 5)
    features = net[:2](x).detach().flatten(1).double()
    torch.testing.assert_close(
        empirical_kernel(net, x), features @ features.T / 27, rtol=1e-5, atol=1e-6
    )


def test_the_features_are_the_input_of_the_layer_that_runs_last():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.output, self.first = nn.Linear(5, 2), nn.Linear(4, 5)

        def forward(self, x):
            features = self.first(x)
            outputs = self.output(input=features)
            features.zero_()  # as an operation in place does, once it has been read
            return outputs

    net, x = Backwards(), inputs(3, 4).double()
    features = x @ net.first.weight.detach().double().T + net.first.bias.detach().double()
    torch.testing.assert_close(empirical_kernel(net, x), features @ features.T / 5)
    torch.testing.assert_close(empirical_kernel(net, x, layer="first"), x @ x.T / 4)


def test_the_layer_can_be_named():
    net, x = mlp(), inputs(4, 6)
    features = net.hidden[0](x).relu().detach().double()
    torch.testing.assert_close(
        empirical_kernel(net, x, layer="hidden.1"), features @ features.T / 8, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("make", "num_weights", "shape", "native"),
    [(mlp, 40, (6,), SparseLinear), (resnet, 2000, (3, 8, 8), SparseConv2d)],
)
def test_native_nets_have_the_kernel_of_the_masked_net(make, num_weights, shape, native, kind):
    net = sparsify(seeded(make), num_weights=num_weights, allocation="proportional")
    x, y = inputs(6, *shape).split([4, 2])
    expected = empirical_kernel(net, x, y, kind=kind)
    net = to_native(net)
    assert any(isinstance(part, native) for part in net.modules())
    torch.testing.assert_close(empirical_kernel(net, x, y, kind=kind), expected)


def test_the_last_layer_may_be_native():
    net = to_native(sparsify(mlp(), num_weights=40, allocation="proportional"))
    assert isinstance(net.output, SparseLinear)
    x = inputs(4, 6)
    seen = []
    handle = net.output.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    net(x)
    handle.remove()
    expected = seen[0].double() @ seen[0].double().T / 8
    torch.testing.assert_close(empirical_kernel(net, x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_net_in_training_mode_has_the_kernel_of_its_running_statistics(kind):
    net, x = seeded(resnet), inputs(4, 3, 8, 8)
    expected = empirical_kernel(net.eval(), x, kind=kind)
    assert torch.equal(empirical_kernel(net.train(), x, kind=kind), expected)
    net.norm.running_var.mul_(4)  # pyright: ignore
    assert not torch.allclose(empirical_kernel(net, x, kind=kind), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_without_columns_they_are_the_rows(net_and_shape, kind):
    net, shape = net_and_shape
    x = inputs(5, *shape)
    kernel = empirical_kernel(net, x, kind=kind, batch_size=2)
    torch.testing.assert_close(kernel, empirical_kernel(net, x, x, kind=kind))
    assert torch.equal(kernel, kernel.T)
    assert torch.linalg.eigvalsh(kernel).min() > -1e-9 * kernel.diagonal().max()


@settings(max_examples=30)
@given(
    rows=st.integers(1, 7),
    columns=st.none() | st.integers(1, 7),
    batch_size=st.integers(1, 9),
    kind=st.sampled_from(KINDS),
)
def test_batches_of_any_size_give_the_same_numbers(rows, columns, batch_size, kind):
    net, x = masked_mlp(), inputs(rows, 6)
    y = None if columns is None else inputs(columns, 6) + 1
    one_by_one = [
        [empirical_kernel(net, a[None], b[None], kind=kind).item() for b in (x if y is None else y)]
        for a in x
    ]
    kernel = empirical_kernel(net, x, y, kind=kind, batch_size=batch_size)
    torch.testing.assert_close(kernel, torch.tensor(one_by_one, dtype=torch.float64))


def test_no_more_than_a_batch_goes_through_the_net():
    sizes = []

    class Recorded(nn.Linear):
        def forward(self, input):  # noqa: A002
            sizes.append(len(input))
            return super().forward(input)

    empirical_kernel(Recorded(4, 2), inputs(7, 4), inputs(5, 4), batch_size=3)
    assert sizes == [1, 3, 3, 2, 3, 3, 2, 1, 3, 2]  # the first is the check that one runs


@pytest.mark.parametrize("kind", KINDS)
def test_the_net_is_left_as_it_was(net_and_shape, kind):
    net, shape = net_and_shape
    net.train()
    next(net.children()).eval()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [part.training for part in net.modules()]
    trainable = [parameter.requires_grad for parameter in net.parameters()]
    generator = torch.random.get_rng_state()
    x = inputs(3, *shape).requires_grad_()
    kernel = empirical_kernel(net, x, kind=kind)
    assert not kernel.requires_grad
    assert list(state) == list(net.state_dict())
    assert all(map(torch.equal, state.values(), net.state_dict().values()))
    assert modes == [part.training for part in net.modules()]
    assert trainable == [parameter.requires_grad for parameter in net.parameters()]
    assert all(parameter.grad is None for parameter in (*net.parameters(), x))
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    assert not any(part._forward_pre_hooks for part in net.modules())
    assert torch.equal(generator, torch.random.get_rng_state())
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_double_precision_nets_and_gradients_switched_off(kind):
    net, x = mlp(), inputs(4, 6)
    expected = empirical_kernel(net, x, kind=kind)
    assert expected.dtype == torch.float64
    with torch.no_grad():
        assert torch.equal(empirical_kernel(net.double(), x.double(), kind=kind), expected)


def test_tokens_stay_integers():
    last = seeded(lambda: nn.Linear(6, 2))
    net = nn.Sequential(seeded(lambda: nn.Embedding(5, 3)), nn.Flatten(), last)
    tokens = torch.tensor([[0, 4], [4, 4], [1, 0]])
    features = net[:2](tokens).detach().double()
    torch.testing.assert_close(empirical_kernel(net, tokens), features @ features.T / 6)
    output = last.weight.detach().double().reshape(2, 2, 3)
    # A token shared by two places counts with the products of what the output makes of them.
    by_places = torch.einsum("oad,obd->ab", output, output) / 2
    equal = (tokens[:, None, :, None] == tokens[None, :, None, :]).double()
    expected = (equal * by_places).sum((2, 3)) + features @ features.T + 1
    torch.testing.assert_close(empirical_kernel(net, tokens, kind="tangent"), expected)


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x):
        return self.layer(x), x


def pruned():
    layer = nn.Linear(6, 3)
    prune.l1_unstructured(layer, "weight", 4)
    return layer


@pytest.mark.parametrize(
    ("make", "keywords", "message"),
    [
        (nn.ReLU, {}, "no linear or convolutional layer.*name a layer"),
        (nn.ReLU, {"kind": "tangent"}, "no trainable parameter.*unfreeze"),
        (lambda: mlp().requires_grad_(False), {"kind": "tangent"}, "no trainable parameter"),
        (mlp, {"kind": "ntk"}, "unknown kind 'ntk'; use 'conjugate' or 'tangent'"),
        (mlp, {"layer": "last"}, "unknown layer 'last'; the net has 'hidden.0', .*'output'"),
        (mlp, {"layer": "hidden"}, "layer 'hidden' never runs.*name a layer that does"),
        (mlp, {"layer": "output", "kind": "tangent"}, "leave it out, or use kind='conjugate'"),
        (mlp, {"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        (mlp, {"x": torch.ones(2, 5)}, r"does not take the inputs torch.float64 \(1, 5\)"),
        (mlp, {"x": torch.ones(2, 6).byte()}, r"torch.uint8 \(1, 6\) in float64"),
        (mlp, {"x": torch.ones(0, 6)}, "0 inputs x and 0 inputs y"),
        (mlp, {"x": torch.tensor(1.0)}, "along their first dimension"),
        (
            mlp,
            {"y": torch.ones(2, 5)},
            r"x is .*\(2, 6\) and y .*\(2, 5\): both hold inputs of one",
        ),
        (TwoOutputs, {"kind": "tangent"}, "returns a tuple: wrap it"),
        (lambda: nn.LazyLinear(2), {}, "does not know its shapes yet: run one batch"),
        (pruned, {}, "cannot be copied.*remove the hooks"),
        (
            lambda: nn.Sequential(nn.Unflatten(1, (3, 2)), nn.Flatten(0, 1), nn.Linear(2, 2)),
            {},
            r"the features are \(6, 2\) for 2 inputs: name a layer",
        ),
    ],
)
def test_bad_input_is_refused(make, keywords, message):
    with pytest.raises(InputError, match=message):
        empirical_kernel(seeded(make), **{"x": torch.ones(2, 6)} | keywords)
