import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from wider.errors import InputError
from wider.sparsity import connectivity, count_weights, mask_of, sparsify, weight_layers


@pytest.mark.parametrize(
    ("net", "num_weights"),
    [
        (nn.Linear(784, 5), 3920),
        (nn.Linear(784, 5, bias=False), 3920),
        (nn.Sequential(nn.Linear(784, 5), nn.ReLU(), nn.Linear(5, 10)), 3970),
        (nn.Conv1d(4, 6, 3), 6 * 4 * 3),
        (nn.Conv2d(4, 6, 3), 6 * 4 * 9),
        (nn.Conv2d(4, 6, (3, 5)), 6 * 4 * 15),
        (nn.Conv2d(4, 6, 3, groups=2), 6 * 2 * 9),
        (nn.Conv3d(4, 6, 3), 6 * 4 * 27),
        (nn.ConvTranspose1d(4, 6, 3), 6 * 4 * 3),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), 6 * 2 * 9),
        (nn.ConvTranspose3d(4, 6, 3), 6 * 4 * 27),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.LayerNorm(8)), 216),
        (nn.Sequential(nn.Embedding(10, 8), nn.PReLU(8)), 0),
        (parametrizations.weight_norm(nn.Linear(7, 3)), 21),
        (nn.MultiheadAttention(8, 2), 4 * 64),
        (nn.MultiheadAttention(8, 2, kdim=6, vdim=4), 8 * (8 + 6 + 4 + 8)),
        (nn.TransformerEncoderLayer(8, 2, dim_feedforward=16), 4 * 64 + 128 + 128),
        (nn.LSTM(3, 5), 4 * 5 * (3 + 5)),
        (nn.LSTM(3, 5, 2, proj_size=2), 4 * 5 * (3 + 2 + 2 + 2) + 2 * 2 * 5),
        (nn.GRU(3, 5, bidirectional=True), 2 * 3 * 5 * (3 + 5)),
        (nn.RNN(3, 5, bias=False), 5 * (3 + 5)),
        (nn.LSTMCell(3, 5), 4 * 5 * (3 + 5)),
        (nn.GRUCell(3, 5), 3 * 5 * (3 + 5)),
        (nn.RNNCell(3, 5), 5 * (3 + 5)),
        (nn.Bilinear(3, 4, 5), 3 * 4 * 5),
    ],
    ids=lambda value: value.__class__.__name__ if isinstance(value, nn.Module) else str(value),
)
def test_weights_by_hand(net, num_weights):
    assert count_weights(net) == num_weights


def test_a_layer_used_twice_counts_once():
    layer = nn.Linear(6, 6)
    assert count_weights(nn.Sequential(layer, nn.ReLU(), layer)) == 36


def test_tied_weights_count_once():
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2))
    net[1].weight = net[0].weight
    assert count_weights(net) == 48
    assert connectivity(net) == {"0": 1.0, "2": 1.0, "": 1.0}


def test_frozen_weights_are_not_counted():
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 2))
    net[0].weight.requires_grad_(False)
    assert count_weights(net) == 12
    assert connectivity(net) == {"1": 1.0, "": 1.0}


def test_frozen_biases_change_nothing():
    net = nn.Linear(6, 6)
    net.bias.requires_grad_(False)
    assert count_weights(net) == 36


def test_a_dense_weight_that_happens_to_be_zero_counts():
    net = nn.Linear(6, 6)
    nn.init.zeros_(net.weight)
    assert count_weights(net) == 36


def test_masked_weights_are_not_counted():
    net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
    sparsify(net, num_weights=90, allocation={"0": 50, "2": 40})
    assert count_weights(net) == 90
    assert connectivity(net) == {"0": 50 / 200, "2": 40 / 100, "": 90 / 300}
    layers = weight_layers(net)
    assert {name: int(mask_of(layer).sum()) for name, layer in layers.items()} == {"0": 50, "2": 40}  # pyright: ignore


def test_connectivity_names_the_net_last_and_its_layers_in_order():
    net = nn.Sequential(nn.Linear(784, 80), nn.ReLU(), nn.Linear(80, 10))
    sparsify(net, num_weights=3970)
    parts = connectivity(net)
    assert list(parts) == ["0", "2", ""]
    assert parts == {"0": 3170 / 62_720, "2": 1.0, "": 3970 / 63_520}  # 1/16: widened 16 times
    assert parts[""] == 1 / 16


def test_a_bare_layer_is_the_net():
    net = sparsify(nn.Linear(10, 10), num_weights=25)
    assert connectivity(net) == {"": 0.25}


@pytest.mark.parametrize(
    "net", [nn.ReLU(), nn.BatchNorm2d(3), nn.Linear(2, 2).requires_grad_(False)]
)
def test_a_net_without_trainable_weights_has_no_connectivity(net):
    assert count_weights(net) == 0
    with pytest.raises(InputError, match="no trainable weights"):
        connectivity(net)


def test_counting_leaves_the_net_as_it_was():
    net = sparsify(nn.Linear(10, 10), num_weights=25)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    count_weights(net)
    connectivity(net)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
