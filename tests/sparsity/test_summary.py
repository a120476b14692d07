"""Every trainable tensor, and why some are not counted."""

import pytest
import torch
from torch import nn

import wider
from wider.sparsity import UncountedWarning, exclude, sparsify, summary, to_native, uncounted


class Positions(nn.Module):
    """A tensor that no rule covers."""

    def __init__(self, length, width):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(length, width))

    def forward(self, x):
        return x + self.table


def language_model():
    return nn.Sequential(nn.Embedding(9, 4), Positions(5, 4), nn.Linear(4, 2), nn.LayerNorm(2))


def test_the_table_by_hand():
    assert str(summary(language_model())).splitlines() == [
        "tensor    shape  kept  connectivity  execution  not counted",
        "0.weight  9 x 4  36    1             dense      an embedding, or tied to one",
        "1.table   5 x 4  20    1             dense      no rule says that it is a matrix",
        "2         2 x 4  8     1             dense",
        "8 weights; beside them 36 in embeddings, 20 in tensors that no rule covers, 6 in biases "
        "and other vectors",
    ]


def test_it_is_data_too_and_agrees_with_the_count():
    net = nn.Sequential(nn.Linear(40, 40), nn.ReLU(), nn.MultiheadAttention(40, 4))
    exclude(net, ["2.k"])
    sparsify(net, num_weights=800, allocation="proportional")
    found = summary(net)
    assert {tensor.name: tensor.kind for tensor in found.tensors} == {
        "0": "weights", "2.q": "weights", "2.k": "excluded", "2.v": "weights",
        "2.out_proj": "weights",
    }  # fmt: skip
    assert found.num_weights == wider.count_weights(net) == 800
    assert [tensor.connectivity for tensor in found.tensors if tensor.kind == "weights"] == [
        0.125
    ] * 4
    assert found.tensors[0].execution == "masked"
    to_native(net)
    native = summary(net)
    assert native.tensors[0].execution == "native"
    assert native.num_weights == 800
    assert native.num_others == found.num_others == 40 + 120 + 40


def test_arithmetic_is_a_column_where_inputs_are_given():
    net = nn.Sequential(
        nn.Embedding(9, 4), Positions(5, 4), nn.TransformerEncoderLayer(4, 2, 6), nn.Linear(4, 2)
    )
    net[3].requires_grad_(False)
    sparsify(net, num_weights=40, allocation={"2.self_attn.q": 6, "2.linear1": 4}, exclude=["1.*"])
    found = summary(net, torch.zeros(5, 5, dtype=torch.long))
    rows = {tensor.name: tensor for tensor in found.tensors}
    assert rows["0.weight"].multiply_adds == rows["1.table"].multiply_adds == 0
    assert rows["2.self_attn.q"].multiply_adds == 25 * 6
    assert rows["2.linear1"].multiply_adds == 25 * 4
    assert all(row.multiply_adds == 25 * row.kept for row in found.tensors if row.kind == "weights")
    assert found.products == 5 * 5 * 5 * (4 + 4)
    assert found.multiply_adds == 25 * 40 + 1000 + 25 * 8
    assert str(found).splitlines()[-1] == (
        "2,200 multiply-adds; among them 1,000 in products of activations (attention), 200 in "
        "frozen tensors"
    )


def test_the_table_of_arithmetic_by_hand():
    net = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9))
    net[1].weight = net[0].weight
    net.append(nn.Linear(9, 2))
    assert str(summary(net, torch.zeros(3, dtype=torch.long))).splitlines() == [
        "tensor    shape  kept  connectivity  execution  multiply-adds  not counted",
        "0.weight  9 x 4  36    1             dense      108            an embedding, or tied to "
        "one",
        "2         2 x 9  18    1             dense      54",
        "18 weights; beside them 36 in embeddings, 11 in biases and other vectors",
        "162 multiply-adds",
    ]
    assert summary(net).multiply_adds is None
    to_native(sparsify(net, num_weights=4))
    found = summary(net, torch.zeros(3, dtype=torch.long))
    assert [tensor.multiply_adds for tensor in found.tensors] == [108, 12]
    assert summary(nn.Linear(4, 3), (4,)).multiply_adds == 12


def test_what_no_rule_covers_is_said_unless_it_is_little_or_left_out():
    assert uncounted(language_model()) == {"1.table": 20}
    with pytest.warns(UncountedWarning, match=r"20 of 70 .* 1\.table\. Leave them out by name"):
        sparsify(language_model(), num_weights=4)
    sparsify(language_model(), num_weights=4, exclude=["1.table"])
    sparsify(nn.Sequential(Positions(1, 4), nn.Linear(4, 200)), num_weights=400)


def grown(width):
    return nn.Sequential(Positions(3, width), nn.Linear(width, 200))


def test_a_family_of_which_something_grows_uncounted_is_refused():
    with pytest.raises(wider.InputError, match=r"at width 8, '0\.table' hold more than .* exclude"):
        wider.Family(grown, base_width=4).sparse(8)
    family = wider.Family(grown, base_width=4, exclude=["0.table"])
    assert wider.count_weights(family.sparse(8)) == family.num_weights == 800


def test_embeddings_that_grow_are_said_once():
    def architecture(width):
        return nn.Sequential(nn.Embedding(50, width), nn.Linear(width, 200))

    family = wider.Family(architecture, base_width=4)
    with pytest.warns(UncountedWarning, match=r"200 entries at the base width 4, 400 at width 8"):
        family.sparse(8)
    assert wider.count_weights(family.sparse(16)) == family.num_weights == 800


def test_a_transformer_has_the_budget_of_all_of_its_matrices():
    def architecture(width):
        return nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True)

    family = wider.Family(architecture, base_width=32)
    assert family.num_weights == 4 * 32**2 + 2 * 2 * 32**2
    for width in (64, 128):
        net = family.sparse(width)
        assert summary(net).num_weights == family.num_weights
    with pytest.raises(wider.InputError, match=r"have no linear bottleneck: leave them out"):
        family.linear_bottleneck(64)


def test_a_head_left_dense_leaves_the_rest_level():
    def architecture(width):
        return nn.Sequential(nn.Linear(20, width), nn.Linear(width, width), nn.Linear(width, 3))

    family = wider.Family(architecture, base_width=8, exclude=["2"])
    assert family.num_weights == 8 * 20 + 8 * 8
    found = wider.connectivity(family.sparse(16))
    assert "2" not in found
    assert found[""] == 224 / (16 * 20 + 16 * 16)


def test_what_is_left_out_is_listed_once():
    net = nn.Sequential(
        nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 9)
    )
    net[2].weight = net[1].weight
    net[3].requires_grad_(False)
    net[4].weight = net[0].weight
    wider.sparsity.exclude(net, ["1", "2", "3", "4"])
    assert [(tensor.name, tensor.kind) for tensor in summary(net).tensors] == [
        ("0.weight", "embedding"),
        ("1", "excluded"),
    ]
