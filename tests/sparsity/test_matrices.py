"""What a weight is, in every kind of module that people train."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

import wider
from wider.errors import InputError
from wider.randomness import default_generator_from, stream
from wider.sparsity import (
    Piece,
    connectivity,
    count_weights,
    exclude,
    mask_of,
    matrices,
    register,
    sparsify,
)

RECURRENT = {
    "lstm": (nn.LSTM, {}),
    "lstm_projected": (nn.LSTM, {"proj_size": 3, "num_layers": 2}),
    "gru": (nn.GRU, {"bidirectional": True, "batch_first": True}),
    "rnn": (nn.RNN, {"nonlinearity": "relu", "bias": False}),
}


def built(make, *arguments, **keywords):
    with default_generator_from(0, "tests"):
        return make(*arguments, **keywords)


def drawn(*shape):
    return torch.randn(shape, generator=stream(0, "inputs"))


def nonzero(net):
    """Of all tensors of two or more dimensions that the net computes with, by brute force."""
    found = {}
    for name, module in net.named_modules():
        parts = [*dict(module.named_parameters(recurse=False))]
        parts += list(getattr(module, "parametrizations", {}))
        for part in parts:
            tensor = getattr(module, part)
            if isinstance(tensor, torch.Tensor) and tensor.dim() > 1:
                found[f"{name}.{part}"] = int(tensor.count_nonzero())
    return sum(count for name, count in found.items() if "parametrizations" not in name)


# Attention


def test_packed_projections_are_three_matrices():
    attention = built(nn.MultiheadAttention, 8, 2)
    assert list(matrices(attention)) == ["q", "k", "v", "out_proj"]
    sparsify(attention, num_weights=100, allocation={"q": 10, "k": 20, "v": 30, "out_proj": 40})
    mask = mask_of(attention, "in_proj_weight")
    assert mask is not None
    assert [int(part.sum()) for part in mask.split(8)] == [10, 20, 30]
    assert connectivity(attention)["k"] == 20 / 64
    assert nonzero(attention) == count_weights(attention) == 100


def test_projections_of_their_own_are_found_too():
    attention = built(nn.MultiheadAttention, 8, 2, kdim=6, vdim=4)
    assert {name: matrix.shape for name, matrix in matrices(attention).items()} == {
        "q": (8, 8), "k": (8, 6), "v": (8, 4), "out_proj": (8, 8),
    }  # fmt: skip


def test_each_projection_is_scaled_by_its_own_connectivity():
    attention, dense = (built(nn.MultiheadAttention, 8, 2) for _ in range(2))
    sparsify(attention, num_weights=112, allocation={"q": 16, "k": 64, "v": 16, "out_proj": 16})
    weight, before = attention.in_proj_weight, dense.in_proj_weight
    mask = mask_of(attention, "in_proj_weight")
    assert mask is not None
    for part, scale in ((0, 2.0), (1, 1.0), (2, 2.0)):
        rows = slice(8 * part, 8 * part + 8)
        kept = mask[rows]
        assert torch.allclose(weight[rows][kept], scale * before[rows][kept])


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_sparse_transformer_trains_and_keeps_its_budget(norm_first):
    layer = built(nn.TransformerEncoderLayer, 8, 2, 16, dropout=0.0, norm_first=norm_first)
    assert count_weights(layer) == 512
    sparsify(layer, num_weights=130)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=0.01)
    inputs = drawn(4, 3, 8)
    for _ in range(30):
        optimiser.zero_grad()
        layer(inputs).square().mean().backward()
        optimiser.step()
    assert nonzero(layer) == count_weights(layer) == 130
    layer.eval()
    with torch.no_grad():
        fast = layer(inputs)
    assert torch.allclose(fast, layer(inputs), atol=1e-6)


# Recurrent layers


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", RECURRENT)
def test_every_gate_has_its_matrices_and_the_layer_computes_with_the_masked_ones(name):
    kind, keywords = RECURRENT[name]
    layer = built(kind, 4, 6, **keywords)
    plain = built(kind, 4, 6, **keywords)
    total = count_weights(layer)
    assert total == sum(p.numel() for n, p in layer.named_parameters() if n.startswith("weight"))
    sparsify(layer, num_weights=total // 3, allocation="proportional")
    assert nonzero(layer) == count_weights(layer) == total // 3
    with torch.no_grad():
        for parameter in [n for n, _ in plain.named_parameters()]:
            getattr(plain, parameter).copy_(getattr(layer, parameter))
    inputs = drawn(5, 2, 4)
    assert torch.allclose(layer(inputs)[0], plain(inputs)[0], atol=1e-6)


def test_a_recurrent_layer_trains_is_copied_and_keeps_its_zeros():
    layer = sparsify(built(nn.LSTM, 4, 6), num_weights=60)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=0.05)
    inputs = drawn(5, 2, 4)
    outputs = []
    for _ in range(30):
        optimiser.zero_grad()
        found = layer(inputs)[0]
        outputs.append(found.detach())
        found.square().mean().backward()
        optimiser.step()
    assert not torch.allclose(outputs[0], outputs[-1])
    assert nonzero(layer) == 60
    assert torch.equal(copy.deepcopy(layer)(inputs)[0], layer(inputs)[0])


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_cells_have_gates_too(kind, gates):
    cell = built(kind, 4, 6)
    assert len(matrices(cell)) == 2 * gates
    sparsify(cell, num_weights=40)
    cell(drawn(2, 4))
    assert nonzero(cell) == count_weights(cell) == 40


# Others


def test_a_bilinear_layer_is_one_matrix():
    layer = built(nn.Bilinear, 3, 4, 5)
    assert matrices(layer)[""].shape == (5, 12)
    sparsify(layer, num_weights=20)
    layer(drawn(2, 3), drawn(2, 4)).sum().backward()
    assert nonzero(layer) == 20


class Conv1D(nn.Module):
    """As transformers has it: inputs first."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class TinyExperts(nn.Module):
    """Three matrices in one tensor."""

    def __init__(self):
        super().__init__()
        self.gate_up_proj = nn.Parameter(torch.randn(3, 4, 6))

    def forward(self, x):
        return torch.einsum("bi,eio->beo", x, self.gate_up_proj)


@pytest.fixture
def of_transformers(monkeypatch):
    for kind in (Conv1D, TinyExperts):
        monkeypatch.setattr(kind, "__module__", "transformers.somewhere")


def test_modules_of_transformers_are_known_by_name(of_transformers):
    layer = sparsify(Conv1D(5, 7), num_weights=10)
    assert nonzero(layer) == count_weights(layer) == 10
    experts = TinyExperts()
    assert list(matrices(experts)) == [f"gate_up_proj.{number}" for number in range(3)]
    sparsify(experts, num_weights=30)
    assert [matrix.kept for matrix in matrices(experts).values()] == [10, 10, 10]
    experts(drawn(2, 4)).sum().backward()
    assert nonzero(experts) == 30


# Ties, embeddings


def test_tied_layers_are_one_matrix_under_one_mask():
    one, other = built(nn.Linear, 6, 6), nn.Linear(6, 6)
    other.weight = one.weight
    net = nn.Sequential(one, nn.ReLU(), other)
    assert list(matrices(net)) == ["0"]
    sparsify(net, num_weights=12)
    assert count_weights(net) == 12
    assert torch.equal(one.weight, other.weight)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.1)
    net(drawn(3, 6)).sum().backward()
    optimiser.step()
    assert torch.equal(one.weight, other.weight)
    assert int(one.weight.count_nonzero()) == 12


def test_every_bias_of_tied_layers_keeps_the_scale():
    one, other = built(nn.Linear, 6, 6), built(nn.Linear, 6, 6)
    other.weight = one.weight
    before = [one.weight.detach().clone(), one.bias.detach().clone(), other.bias.detach().clone()]
    sparsify(nn.Sequential(one, other), num_weights=9)
    kept = mask_of(one)
    assert kept is not None
    assert torch.equal(one.weight[kept], 2 * before[0][kept])
    assert torch.equal(one.bias, 2 * before[1])
    assert torch.equal(other.bias, 2 * before[2])


def test_what_is_left_out_under_one_name_is_left_out_under_the_other():
    one, other = nn.Linear(6, 6), nn.Linear(6, 6)
    other.weight = one.weight
    net = nn.Sequential(one, nn.Linear(6, 6), other)
    sparsify(net, num_weights=9, exclude=["2"])
    assert list(matrices(net)) == ["1"]
    assert mask_of(one) is mask_of(other) is None


def test_a_head_tied_to_an_embedding_is_an_embedding():
    embedding, body, head = nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, 9, bias=False)
    head.weight = embedding.weight
    net = nn.Sequential(embedding, body, head)
    assert list(matrices(net)) == ["1"]
    sparsify(net, num_weights=12)
    assert int(head.weight.count_nonzero()) == 54
    assert head.weight is embedding.weight


# Left out by name


def test_what_is_excluded_is_neither_counted_nor_sparsified():
    net = built(lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)))
    sparsify(net, num_weights=8, exclude=["2"])
    assert count_weights(net) == 8
    assert connectivity(net) == {"0": 0.25, "": 0.25}
    assert nonzero(net.get_submodule("2")) == 16
    assert count_weights(copy.deepcopy(net)) == 8


def test_a_pattern_leaves_out_all_of_a_module():
    net = nn.TransformerEncoderLayer(8, 2, 16)
    exclude(net, ["self_attn", "linear2"])
    assert list(matrices(net)) == ["linear1"]
    exclude(attention := nn.MultiheadAttention(8, 2), ["v"])
    assert list(matrices(attention)) == ["q", "k", "out_proj"]


def test_what_a_layer_has_beside_its_matrix_is_left_out_with_it_or_alone():
    attention = nn.MultiheadAttention(8, 2, add_bias_kv=True)
    uncounted = {"bias_k": 8, "bias_v": 8}
    assert wider.sparsity.uncounted(attention) == uncounted
    exclude(attention, ["bias_*"])
    assert wider.sparsity.uncounted(attention) == {}
    assert count_weights(attention) == 4 * 64
    net = nn.Sequential(nn.MultiheadAttention(8, 2, add_bias_kv=True), nn.Linear(8, 8))
    exclude(net, ["0"])
    assert wider.sparsity.uncounted(net) == {}
    assert list(matrices(net)) == ["1"]


def test_a_pattern_that_matches_nothing_is_refused_with_what_there_is():
    with pytest.raises(InputError, match=r"'head', which matches no matrix; there are '0', '2'"):
        sparsify(
            nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
            num_weights=8,
            exclude=["head"],
        )


# Subclasses, and kinds of one's own


class Same(nn.Conv2d):
    """Pads first: linear in its weight."""

    def forward(self, input):  # noqa: A002
        return super().forward(nn.functional.pad(input, (1, 1, 1, 1)))


class Standardised(nn.Conv2d):
    """Would fill the mask again."""

    def forward(self, input):  # noqa: A002
        weight = (self.weight - self.weight.mean()) / self.weight.std()
        return self._conv_forward(input, weight, self.bias)


class Cosine(nn.Linear):
    """Normalises its rows."""

    def forward(self, input):  # noqa: A002
        return linear(input, nn.functional.normalize(self.weight), self.bias)


def test_a_subclass_that_is_linear_in_its_weight_is_taken_for_its_base():
    net = sparsify(nn.Sequential(Same(3, 4, 3), nn.Conv2d(4, 2, 3)), num_weights=50)
    assert nonzero(net) == count_weights(net) == 50


@pytest.mark.parametrize("layer", [Standardised(3, 4, 3), Cosine(6, 5)])
def test_one_that_is_not_is_refused_and_can_be_left_out(layer):
    net = nn.ModuleDict({"odd": layer, "plain": nn.Linear(4, 4)})
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(InputError, match=r"layer 'odd' is a .* not linear .* exclude=\['odd'\]"):
        sparsify(net, num_weights=8)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    sparsify(net, num_weights=8, exclude=["odd"])
    assert count_weights(net) == 8


class Factors(nn.Module):
    """A layer of one's own."""

    def __init__(self):
        super().__init__()
        self.left, self.right = (nn.Parameter(torch.randn(6, 6)) for _ in range(2))

    def forward(self, x):
        return x @ self.left @ self.right


def test_a_layer_of_ones_own_is_registered_by_one_call():
    net = nn.Sequential(Factors())
    assert count_weights(net) == 0
    register(Factors, lambda _: [Piece("left", "left"), Piece("right", "right")])
    assert list(matrices(net)) == ["0.left", "0.right"]
    sparsify(net, num_weights=20)
    assert nonzero(net) == count_weights(net) == 20
