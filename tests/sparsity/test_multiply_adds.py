"""Counting arithmetic, against numbers worked out by hand."""

import copy
import subprocess
import sys
from collections import OrderedDict
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_sequence

from wider.errors import InputError
from wider.families import Family
from wider.models import ResNet18
from wider.randomness import stream
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
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"does not take an image of shape \(1, 8, 8\)"):
        multiply_adds(ResNet18(2), (1, 8, 8))


def text(*shape):
    return torch.randint(9, shape, generator=stream(0, "inputs"))


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # takes another path of PyTorch's
@pytest.mark.parametrize(
    ("layer", "per_step"),
    [
        (nn.LSTM(3, 4), 4 * 4 * (3 + 4)),
        (nn.GRU(3, 4, bias=False), 3 * 4 * (3 + 4)),
        (nn.RNN(3, 4, num_layers=2), 4 * (3 + 4) + 4 * (4 + 4)),
        (nn.GRU(3, 4, bidirectional=True, batch_first=True), 2 * 3 * 4 * (3 + 4)),
        # Hidden states of two numbers each way, which the second layer takes both of.
        (
            nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2),
            2 * (4 * 4 * (3 + 2) + 2 * 4) + 2 * (4 * 4 * (4 + 2) + 2 * 4),
        ),
    ],
)
def test_recurrent_layers_use_every_weight_once_a_step(layer: nn.Module, per_step: int):
    assert multiply_adds(layer, torch.zeros(5, 2, 3)) == {"": 10 * per_step}
    assert multiply_adds(layer, torch.zeros(5, 3)) == {"": 5 * per_step}  # one sequence alone
    packed = pack_sequence([torch.zeros(4, 3), torch.zeros(2, 3)])
    assert multiply_adds(layer, packed) == {"": 6 * per_step}
    sparsify(layer, num_weights=40)
    assert multiply_adds(layer, (torch.zeros(5, 2, 3),)) == {"": 400}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(nn.LSTMCell(3, 4), 4 * 28), (nn.GRUCell(3, 4), 3 * 28), (nn.RNNCell(3, 4), 28)],
)
def test_recurrent_cells_take_one_step(cell: nn.Module, expected: int):
    assert multiply_adds(cell, torch.zeros(6, 3)) == {"": 6 * expected}
    assert multiply_adds(cell, {"input": torch.zeros(3)}) == {"": expected}


def test_bilinear_layers_use_every_weight_once_an_example():
    net = nn.Bilinear(2, 3, 4)
    assert multiply_adds(net, (torch.zeros(5, 2), torch.zeros(5, 3))) == {"": 5 * 24}


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("sizes", [{}, {"kdim": 6, "vdim": 5}])
def test_attention_by_hand(need_weights: bool, sizes: dict[str, Any]):
    net = nn.MultiheadAttention(8, 2, **sizes)
    key_size, value_size = sizes.get("kdim", 8), sizes.get("vdim", 8)
    query, key, value = (
        torch.zeros(length, 3, size) for length, size in ((4, 8), (7, key_size), (7, value_size))
    )
    inputs = {"query": query, "key": key, "value": value, "need_weights": need_weights}
    projections = 3 * (4 * 64 + 7 * 8 * key_size + 7 * 8 * value_size)
    products = 3 * 4 * 7 * (8 + 8)  # of queries with keys, of their softmax with values
    expected = {"out_proj": 3 * 4 * 64}
    assert multiply_adds(net, inputs) == expected | {
        "": projections + products + expected["out_proj"]
    }
    sparsify(net, num_weights=40, allocation={"q": 12, "k": 11, "v": 10, "out_proj": 7})
    assert multiply_adds(net, inputs) == {
        "out_proj": 3 * 4 * 7,
        "": 3 * (4 * 12 + 7 * 11 + 7 * 10) + products + 3 * 4 * 7,
    }


@pytest.mark.parametrize("training", [True, False])
def test_a_transformer_by_hand_in_either_mode(training: bool):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = nn.TransformerEncoder(layer, 1).train(training)
    was_fast = torch.backends.mha.get_fastpath_enabled()
    expected = {
        "layers.0.self_attn": 2 * (5 * 3 * 64 + 5 * 5 * 16),
        "layers.0.self_attn.out_proj": 2 * 5 * 64,
        "layers.0.linear1": 2 * 5 * 128,
        "layers.0.linear2": 2 * 5 * 128,
    }
    inputs = {"src": torch.zeros(2, 5, 8), "src_key_padding_mask": torch.zeros(2, 5).bool()}
    assert multiply_adds(net, inputs) == expected | {"": sum(expected.values())}
    inputs["src_key_padding_mask"][:, 3:] = True  # padded places count like others
    assert multiply_adds(net, inputs)[""] == sum(expected.values())
    assert torch.backends.mha.get_fastpath_enabled() == was_fast
    assert net.training == training


class Used(nn.Module):
    """Whose weights are used without their layers, in several ways that copy or cut them."""

    def __init__(self):
        super().__init__()
        self.embedding, self.layer = nn.Embedding(9, 4), nn.Linear(4, 6)

    def forward(self, tokens):
        x = self.embedding(tokens)
        weight = self.layer.weight
        upper = functional.linear(x, weight[:2])
        twice = x.double() @ weight.t().double()
        gathered = weight[torch.tensor([5, 5, 0])] @ x[0, 0]
        heads = torch.einsum("bti,oi->bto", x, weight)
        return upper, twice, gathered, heads, x @ self.embedding.weight.t()


def test_weights_are_known_wherever_they_are_used():
    net = sparsify(Used(), num_weights=9)
    rows = net.layer.weight.count_nonzero(dim=1).tolist()
    assert sum(rows) == 9
    expected = 6 * sum(rows[:2]) + 6 * 9 + 2 * rows[5] + rows[0] + 6 * 9
    found = multiply_adds(net, text(2, 3))
    assert found == {"layer": expected, "embedding": 6 * 36, "": expected + 6 * 36}
    with torch.inference_mode():
        assert multiply_adds(net, text(2, 3)) == found


def test_products_of_activations_count_for_the_module_that_computes_them():
    class Gram(nn.Module):
        def forward(self, x):
            return functional.scaled_dot_product_attention(x @ x.mT, x, x[..., :2])

    net = nn.Sequential(OrderedDict(gram=Gram()))
    x = torch.zeros(2, 5, 5)
    assert multiply_adds(net, x) == {"gram": 2 * (125 + 25 * 5 + 25 * 2), "": 600}


def test_nets_without_numbers():
    with torch.device("meta"):
        net = nn.TransformerEncoderLayer(8, 2, 16)
    assert multiply_adds(net, torch.zeros(5, 1, 8))[""] == 5 * 512 + 5 * 5 * 16


def test_tensors_are_a_whole_batch_and_take_the_precision_of_the_net():
    net = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)).double()
    assert multiply_adds(net, text(3, 5)) == {"1": 15 * 8, "": 15 * 8}
    assert multiply_adds(net[1], torch.zeros(7, 4)) == {"": 56}
    assert multiply_adds(net[1], (4,)) == {"": 8}


@pytest.mark.parametrize("inputs", [torch.zeros(1, 4), {"tokens": text(4)}, (text(4), 3)])
def test_inputs_that_do_not_fit_are_refused(inputs):
    net = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2))
    with pytest.raises(InputError, match=r"does not take the inputs .*\(.*4.*\)"):
        multiply_adds(net, inputs)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def test_a_shape_for_a_net_of_tokens_is_refused():
    with pytest.raises(InputError, match=r"shape \(4,\): give other inputs themselves"):
        multiply_adds(nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)), (4,))


def test_a_compiled_net_counts_as_it_was_written_and_is_not_compiled_for_it():
    def never(*_: Any) -> Any:
        raise AssertionError

    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    compiled = cast(nn.Module, torch.compile(net, backend=never))
    assert multiply_adds(compiled, (6,)) == {"_orig_mod.0": 24, "_orig_mod.2": 8, "": 32}


COUNTS = """
import sys, torch, wider

assert wider.multiply_adds(torch.nn.Linear(4, 3), (4,))[""] == 12
specs = wider.study.EXPERIMENTS["demo"].scale("smoke").specs()
assert wider.study.estimated_core_seconds(specs) > 0
assert "torch._dynamo" not in sys.modules
"""


def test_to_count_takes_no_compiler():
    done = subprocess.run(
        [sys.executable, "-c", COUNTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
