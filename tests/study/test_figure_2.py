"""Figure 2: what is drawn is what the nets hold."""

import pandas as pd
import pytest
import torch
from torch import nn

from wider.models import MLP
from wider.sparsity import count_weights, sparsify, weight_layers
from wider.study.drawn import figure_2

EMPTY = pd.DataFrame()
SCALE = figure_2.EXPERIMENT.scale("paper")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return figure_2.summarise(EMPTY)


@pytest.fixture(scope="module")
def chart() -> dict:
    (picture,) = figure_2.draw(EMPTY, SCALE)
    return picture.chart.to_dict()


def data_of(chart: dict, panel: int, layer: int) -> list[dict]:
    """What one layer of one net's panel shows: squares, stripes or labels."""
    return chart["datasets"][chart["vconcat"][panel]["layer"][layer]["data"]["name"]]


def shapes(table: pd.DataFrame, net: str, width: int) -> list[tuple[int, int, bool]]:
    rows = table[(table["net"] == net) & (table["width"] == width)]
    columns = [rows[name].tolist() for name in ("outputs", "inputs", "relu_follows")]
    return list(zip(*columns, strict=True))


def test_matrices_and_relus_of_each_net(table: pd.DataFrame):
    # By hand. Baseline: 6 x 12 + 6 x 6 + 6 x 6 = 144.
    assert shapes(table, "baseline", 6) == [(6, 12, True), (6, 6, True), (6, 6, False)]
    # Each matrix in two, with nothing between the two of a pair.
    assert shapes(table, "linear bottleneck", 6) == [
        (6, 12, False), (6, 6, True),
        (6, 6, False), (6, 6, True),
        (6, 6, False), (6, 6, False),
    ]  # fmt: skip
    # 252 weights again: 4 (12 + 15) + 2 (15 + 15) + 4 (15 + 6).
    assert shapes(table, "linear bottleneck", 15) == [
        (4, 12, False), (15, 4, True),
        (2, 15, False), (15, 2, True),
        (4, 15, False), (6, 4, False),
    ]  # fmt: skip
    # 2 (12 + 15) + 6 x 15 = 144.
    assert shapes(table, "non-linear bottleneck", 15) == [
        (2, 12, True), (15, 2, True), (6, 15, False),
    ]  # fmt: skip
    assert shapes(table, "sparse", 15) == [(15, 12, True), (15, 15, True), (6, 15, False)]


def test_weights_of_the_matrices_are_those_of_the_net(table: pd.DataFrame):
    sums = table.groupby(["net", "width"])[["weights_kept", "weights_stored"]].sum()
    assert {member: tuple(row) for member, row in sums.iterrows()} == {
        ("baseline", 6): (144, 144),
        ("linear bottleneck", 6): (252, 252),
        ("linear bottleneck", 15): (252, 252),
        ("non-linear bottleneck", 15): (144, 144),
        ("sparse", 15): (144, 495),
    }
    # 144 weights over three matrices that all have more than a third of them.
    assert table[table["net"] == "sparse"]["weights_kept"].tolist() == [48, 48, 48]
    assert (table["weights_kept"] <= table["weights_stored"]).all()


def test_order_and_relus_are_seen_not_assumed():
    linear = MLP(15, 12, 6, num_hidden_layers=2, activation="identity")
    assert [matrix.relu_follows for matrix in figure_2.matrices(linear)] == [False] * 3

    class Swapped(nn.Module):
        """Uses its layers in another order than it holds them, with a ReLU at the very end."""

        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Linear(3, 4)
            self.first = nn.Linear(12, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(images)).relu()

    found = figure_2.matrices(Swapped())
    assert [(matrix.layer, matrix.relu_follows) for matrix in found] == [
        ("first", False),
        ("second", True),
    ]


def test_looking_leaves_the_net_as_it_was():
    net = sparsify(MLP(15, 12, 6), num_weights=100)
    figure_2.matrices(net)
    assert not any(layer._forward_hooks for layer in net.modules())


def test_kept_entries_are_where_the_weights_are():
    net = sparsify(MLP(15, 12, 6), num_weights=100)
    layers = weight_layers(net)
    drawn = figure_2.matrices(net)
    assert [matrix.layer for matrix in drawn] == list(layers)
    for matrix in drawn:
        # Initial weights are never exactly zero, removed ones always are.
        assert torch.equal(matrix.kept, layers[matrix.layer].weight != 0)


def test_squares_and_stripes_are_those_of_the_nets(chart: dict, table: pd.DataFrame):
    nets = figure_2.members()
    assert len(chart["vconcat"]) == len(nets)
    for panel, ((name, width), net) in enumerate(nets.items()):
        rows = table[(table["net"] == name) & (table["width"] == width)]
        cells = pd.DataFrame(data_of(chart, panel, 0))
        assert (cells["state"] == "kept").sum() == count_weights(net)
        assert len(cells) == sum(layer.numel() for layer in net.parameters() if layer.dim() == 2)
        assert len(data_of(chart, panel, 1)) == rows["relu_follows"].sum() == 2
        title = chart["vconcat"][panel]["title"]["text"]
        assert f"width {width}: {count_weights(net)} weights" in title
        assert ("144 effective" in title) == (name == "linear bottleneck")


def test_nothing_overlaps(chart: dict):
    for panel, _net in enumerate(chart["vconcat"]):
        cells = pd.DataFrame(data_of(chart, panel, 0))
        assert not cells.duplicated(["x", "y"]).any()
        edges = cells.groupby("layer", sort=False)["x"].agg(["min", "max"])
        assert (edges["min"].iloc[1:].to_numpy() >= edges["max"].iloc[:-1].to_numpy() + 2).all()
        for stripe in data_of(chart, panel, 1):
            # A square reaches from x to x + 1.
            assert not ((cells["x"] < stripe["x2"]) & (cells["x"] + 1 > stripe["x"])).any()


def test_each_matrix_is_labelled_with_its_size_and_weights(chart: dict):
    labels = [label["text"] for label in data_of(chart, 4, 2)]
    assert [label for label in labels if label != "ReLU"] == [
        "15 x 12\n48 of 180",
        "15 x 15\n48 of 225",
        "6 x 15\n48 of 90",
    ]
    assert labels.count("ReLU") == 2


def test_picture_says_its_scale_and_numbers():
    assert list(SCALE.specs()) == []
    (picture,) = figure_2.draw(EMPTY, SCALE)
    assert SCALE.label in picture.chart.to_json()
    assert picture.caption == (
        "The baseline of width 6 has 144 weights; at width 15 the non-linear bottleneck has 144 "
        "and the sparse net 144 of 495. As linear bottlenecks, the nets of width 6 and 15 have "
        "252 and 252."
    )
