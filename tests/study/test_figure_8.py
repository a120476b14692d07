"""Figure 8: the steps of level allocation against steps by hand."""

import pandas as pd
import pytest
from torch import nn

from wider.sparsity import connectivity, sparsify
from wider.study.drawn import figure_8

EMPTY = pd.DataFrame()
SCALE = figure_8.EXPERIMENT.scale("paper")


def three_layers() -> nn.Module:
    """Of 40, 20 and 10 weights."""
    return nn.Sequential(nn.Linear(4, 10), nn.Linear(10, 2), nn.Linear(2, 5))


@pytest.mark.parametrize(
    ("num_weights", "expected"),
    [
        # Layer by layer: all; the largest down to 20; both to 10; 25 over three layers, of which
        # the largest ones give up what does not divide.
        (25, [[40, 20, 10], [20, 20, 10], [10, 10, 10], [8, 8, 9]]),
        # The smallest layer keeps its 10, the other two share 22.
        (32, [[40, 20, 10], [20, 20, 10], [11, 11, 10]]),
        # A budget that is itself a step is there once.
        (50, [[40, 20, 10], [20, 20, 10]]),
        (70, [[40, 20, 10]]),
    ],
)
def test_steps_by_hand(num_weights: int, expected: list[list[int]]):
    table = figure_8.steps(three_layers(), num_weights)
    found = [rows["weights_kept"].tolist() for _step, rows in table.groupby("step")]
    assert found == expected
    budgets = table.groupby("step")["num_weights"].first().tolist()
    assert budgets == [sum(kept) for kept in expected]
    assert table["step"].unique().tolist() == list(range(len(expected)))


def test_numbers_of_the_net_drawn():
    table = figure_8.summarise(EMPTY)
    # By hand, at width 8: 3 x 8 x 9; 8 x 8 x 9 twice; 8 x 16 x 9; 16 x 16 x 9; 8 x 16; 16 x 10.
    stored = [216, 576, 576, 1152, 2304, 128, 160]
    kept = table.pivot_table(index="step", columns="layer", values="weights_kept", sort=False)
    # The budget, width 5: 135 + 2 x 225 + 450 + 900 + 50 + 100 = 2,085. Less the three small
    # layers, 2,085 - 504 = 1,581 = 3 x 395 + 396.
    assert kept.to_numpy().tolist() == [
        stored,
        [216, 576, 576, 1152, 1152, 128, 160],
        [216, 576, 576, 576, 576, 128, 160],
        [216, 395, 396, 395, 395, 128, 160],
    ]
    assert kept.sum(axis=1).tolist() == [5112, 3960, 2808, 2085]
    for _step, rows in table.groupby("step"):
        assert rows["weights_stored"].tolist() == stored


def test_last_step_is_what_a_sparse_net_has():
    table = figure_8.summarise(EMPTY)
    last = table[table["step"] == table["step"].max()].set_index("layer")["connectivity"]
    net = sparsify(figure_8.small_resnet(8), num_weights=2085)
    assert last.to_dict() | {"": 2085 / 5112} == connectivity(net)


def test_picture_shows_every_step():
    assert list(SCALE.specs()) == []
    (picture,) = figure_8.draw(EMPTY, SCALE)
    assert SCALE.label in picture.chart.to_json()
    chart = picture.chart.to_dict()
    assert [panel["title"]["text"] for panel in chart["hconcat"]] == [
        ["5,112 weights", "dense"],
        ["3,960 weights", "1 layer cut to 1,152"],
        ["2,808 weights", "2 layers cut to 576"],
        ["2,085 weights", "4 layers cut to equal rest"],
    ]
    assert {len(rows) for rows in chart["datasets"].values()} == {7}
    assert picture.caption == (
        "From 5,112 weights to 2,085, the largest layers first: 1 layer is cut to 1,152, then 2 "
        "layers are cut to 576, then 4 layers are cut to 395 or 396; 3 of 7 layers stay dense."
    )
