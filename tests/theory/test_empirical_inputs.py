"""Kernels of nets that take more than one batch of numbers."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from wider.errors import InputError
from wider.randomness import default_generator_from, stream
from wider.sparsity import sparsify
from wider.theory import empirical_kernel


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=stream(0, "inputs"))


def tokens(*shape: int) -> Tensor:
    return torch.randint(9, shape, generator=stream(1, "inputs"))


def tangent_kernel_by_loops(net: nn.Module, rows: list[dict]) -> Tensor:
    """Of inputs one by one, with plain autograd."""
    net = net.double().eval()
    parameters = [each for each in net.parameters() if each.requires_grad]
    gradients = []
    for row in rows:
        outputs = net(**row).flatten()
        each = [
            torch.autograd.grad(one, parameters, retain_graph=True, materialize_grads=True)
            for one in outputs
        ]
        gradients.append(
            torch.stack([torch.cat([part.flatten() for part in found]) for found in each])
        )
    stacked = torch.stack(gradients)
    return torch.einsum("pcw,qcw->pq", stacked, stacked) / stacked.shape[1]


class Reader(nn.Module):
    """Of tokens and a number to each, with a part that passes states along."""

    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        self.embedding, self.middle, self.head = nn.Embedding(9, 4), middle, nn.Linear(4, 2)

    def forward(self, words: Tensor, weights: Tensor, *, scale: float = 1.0) -> Tensor:
        x = scale * self.embedding(words) * weights[..., None]
        x = (
            self.middle(x, x, x)
            if isinstance(self.middle, nn.MultiheadAttention)
            else self.middle(x)
        )
        return self.head(x[0] if isinstance(x, tuple) else x)


MIDDLES = {
    "lstm": lambda: nn.LSTM(4, 4, batch_first=True),
    "gru": lambda: nn.GRU(4, 4, batch_first=True, num_layers=2),
    "attention": lambda: nn.MultiheadAttention(4, 2, batch_first=True),
    "transformer": lambda: nn.TransformerEncoderLayer(4, 2, 6, batch_first=True),
}


@pytest.fixture(params=MIDDLES)
def reader(request: pytest.FixtureRequest) -> Reader:
    with default_generator_from(0, "tests"):
        return Reader(MIDDLES[request.param]())


@pytest.mark.parametrize("is_masked", [False, True])
def test_the_conjugate_kernel_of_sequences(reader: Reader, is_masked: bool):
    if is_masked:
        sparsify(reader, num_weights=50)
    words, weights = tokens(5, 3), drawn(5, 3)
    kernel = empirical_kernel(reader, (words, weights), batch_size=2)
    seen: list[Tensor] = []
    net = reader.double().eval()
    net.head.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    net(words, weights.double())
    features = seen[0].flatten(1)
    assert features.shape == (5, 12)
    torch.testing.assert_close(kernel, features @ features.T / 12)


@pytest.mark.parametrize("is_masked", [False, True])
def test_the_tangent_kernel_of_sequences_by_loops(reader: Reader, is_masked: bool):
    if is_masked:
        sparsify(reader, num_weights=50)
    words, weights = tokens(4, 3), drawn(4, 3)
    inputs = {"words": words, "weights": weights, "scale": 2.0}
    kernel = empirical_kernel(reader, inputs, kind="tangent", batch_size=3)
    rows = [
        {"words": word[None], "weights": weight[None].double(), "scale": 2.0}
        for word, weight in zip(words, weights, strict=True)
    ]
    torch.testing.assert_close(kernel, tangent_kernel_by_loops(reader, rows))


@pytest.mark.parametrize("kind", ["conjugate", "tangent"])
def test_tuples_mappings_and_columns_give_the_same_numbers(reader: Reader, kind):
    words, weights = tokens(5, 3), drawn(5, 3)
    whole = empirical_kernel(reader, (words, weights), kind=kind)
    x = {"words": words[:3], "weights": weights[:3]}
    y = {"words": words[3:], "weights": weights[3:]}
    kernel = empirical_kernel(reader, x, y, kind=kind, batch_size=2)
    torch.testing.assert_close(kernel, whole[:3, 3:])


def test_layers_go_by_the_fast_path_of_no_transformer():
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), 2)
    x, padded = drawn(3, 5, 4), torch.arange(5).expand(3, 5) > 3
    seen: list[Tensor] = []
    expected = net.eval().double()
    last = expected.get_submodule("layers.1.linear2")
    handle = last.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    torch.backends.mha.set_fastpath_enabled(False)
    expected(x.double(), src_key_padding_mask=padded)
    torch.backends.mha.set_fastpath_enabled(True)
    handle.remove()
    features = seen[0].flatten(1)
    kernel = empirical_kernel(net, {"src": x, "src_key_padding_mask": padded})
    torch.testing.assert_close(kernel, features @ features.T / 30)
    assert torch.backends.mha.get_fastpath_enabled()


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.pair = nn.Linear(4, 3), nn.Bilinear(3, 4, 2)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.pair(self.first(x), y)


def packed() -> object:
    return pack_sequence([torch.zeros(4, 3), torch.zeros(2, 3)])


@pytest.mark.parametrize(
    ("net", "x", "keywords", "message"),
    [
        (Two(), (torch.zeros(3, 4), torch.zeros(2, 4)), {}, "hold as many examples each"),
        (Two(), {"x": 1, "y": 2}, {}, "give tensors that hold"),
        (Two(), (torch.zeros(3, 4), torch.tensor(1.0)), {}, "along their first dimension"),
        (nn.LSTM(3, 4), (packed(),), {}, "a packed .* give tensors"),
        (
            Two(),
            (torch.zeros(3, 4), torch.zeros(3, 4)),
            {"y": (torch.zeros(3, 4), torch.zeros(3, 5))},
            "both hold inputs of one shape",
        ),
        (Two(), (torch.zeros(3, 4), torch.zeros(3, 4)), {}, "'pair', .* is a Bilinear.*another"),
        (
            Two(),
            (torch.zeros(3, 4), torch.zeros(3, 4)),
            {"layer": "pair"},
            "'pair', .* is a Bilinear",
        ),
        (nn.LSTM(3, 4, batch_first=True), torch.zeros(2, 5, 3), {}, "is a LSTM: its outputs are"),
        (
            nn.MultiheadAttention(4, 2, batch_first=True),
            (torch.zeros(2, 5, 4),) * 3,
            {},
            "is a MultiheadAttention: its outputs are not",
        ),
        (nn.LSTM(3, 4), torch.zeros(2, 5, 3), {"kind": "tangent"}, "returns a tuple: wrap it"),
    ],
)
def test_what_has_no_features_is_refused(net, x, keywords, message):
    with pytest.raises(InputError, match=message):
        empirical_kernel(net, x, **keywords)


def test_features_of_two_inputs_can_be_named():
    net, x, y = Two(), drawn(3, 4), drawn(3, 4)
    torch.testing.assert_close(
        empirical_kernel(net, (x, y), layer="first"), x.double() @ x.double().T / 4
    )
