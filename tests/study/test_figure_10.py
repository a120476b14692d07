"""Figure 10: weights of ResNet-18's layers against counts by hand and real nets."""

import pandas as pd
import pytest
from torch import nn

from wider import Family
from wider.models import ResNet18
from wider.sparsity import connectivity
from wider.study.drawn import figure_10
from wider.study.drawn.figure_8 import equal_shares, level_allocation

EMPTY = pd.DataFrame()
SCALE = figure_10.EXPERIMENT.scale("paper")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return figure_10.summarise(EMPTY)


def test_level_allocation_of_two_layers_by_hand():
    net = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 2))
    assert level_allocation(net, 50).to_dict("list") == {
        "layer": ["0", "2"],
        "weights_stored": [40, 20],
        "weights_kept": [30, 20],
        "connectivity": [0.75, 1.0],
    }


def test_equal_shares_are_named_once_each():
    assert equal_shares(pd.Series([1396, 1395, 1395])) == "1,395 or 1,396"


def test_every_width_has_the_same_number_of_weights(table: pd.DataFrame):
    kept = table.groupby("width")["weights_kept"].sum()
    # 175,192 with 10 classes, and 64 more weights for each of the other 90.
    assert kept.to_dict() == dict.fromkeys((8, 16, 32, 64, 128), 175_192 + 90 * 64)
    assert (table["weights_kept"] <= table["weights_stored"]).all()
    assert (table.groupby("width").size() == 21).all()


def test_layers_stored_by_hand(table: pd.DataFrame):
    stored = table.set_index(["width", "layer"])["weights_stored"]
    for width in figure_10.WIDTHS:
        assert stored[width, "stem"] == 3 * width * 9
        assert stored[width, "stages.0.0.convolution_1"] == width**2 * 9
        assert stored[width, "stages.1.0.shortcut.convolution"] == 2 * width**2
        assert stored[width, "stages.3.1.convolution_2"] == (8 * width) ** 2 * 9
        assert stored[width, "output"] == 8 * width * 100


def test_weights_kept_are_those_of_a_real_net(table: pd.DataFrame):
    net = Family(ResNet18, base_width=8, num_classes=100).sparse(16)
    of_width = table[table["width"] == 16].set_index("layer")["connectivity"].to_dict()
    found = connectivity(net)
    del found[""]
    assert of_width == found
    assert list(of_width) == list(found)


# At the cap of about 14,437, 9,499, 9,002 and 8,875 weights, all layers above it are cut. Of width
# 16 these are the 3x3 convolutions of the last two stages; then also those of stage 1 (4), the
# last shortcut and the output; then stage 0 (4) and the middle shortcut; then the first shortcut.
@pytest.mark.parametrize(("width", "num_cut"), [(8, 0), (16, 8), (32, 14), (64, 19), (128, 20)])
def test_layers_that_are_cut_have_equal_shares(table: pd.DataFrame, width: int, num_cut: int):
    rows = table[table["width"] == width]
    cut, whole = rows[rows["connectivity"] < 1], rows[rows["connectivity"] == 1]
    assert len(cut) == num_cut
    if num_cut:
        assert cut["weights_kept"].max() - cut["weights_kept"].min() <= 1
        assert whole["weights_kept"].max() <= cut["weights_kept"].max()


def test_picture_has_a_panel_per_width_and_all_layers():
    assert list(SCALE.specs()) == []
    (picture,) = figure_10.draw(EMPTY, SCALE)
    assert SCALE.label in picture.chart.to_json()
    chart = picture.chart.to_dict()
    titles = [panel["title"] for panel in chart["hconcat"]]
    assert [title["text"] for title in titles] == [f"Width {width}" for width in figure_10.WIDTHS]
    assert [title["subtitle"] for title in titles][:2] == ["connectivity 1", "connectivity 0.25"]
    assert {len(rows) for rows in chart["datasets"].values()} == {21}
    assert picture.caption == (
        "At width 8 the layers have 128 to 36,864 weights; at width 128, 20 of 21 layers keep "
        "8,874 or 8,875 each, at connectivities from 0.27 down to 0.00094."
    )
