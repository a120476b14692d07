"""What each layer costs, and what of it is printed."""

import copy
import itertools
import re
import time

import pytest
import torch
from torch import nn

from wider.sparsity import layer_times, sparsify, to_native

KEPT = {"0": 30, "2": 0.9, "4": 20, "7": 40}


def net() -> nn.Module:
    module = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 4, 3, padding=1, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(100, 10),
    )
    total = 30 + round(0.9 * 576) + 20 + 40
    return sparsify(module, num_weights=total, allocation=KEPT, seed=0)


def test_every_sparse_layer_is_there_with_its_numbers():
    rows = {row.name: row for row in layer_times(net(), torch.zeros(3, 2, 5, 5))}
    assert list(rows) == ["0", "2", "4", "7"]
    first = rows["0"]
    assert (first.num_weights, first.connectivity) == (30, 30 / 144)
    assert first.multiply_adds == 3 * 30 * 25
    assert rows["7"].multiply_adds == 3 * 40
    assert all(row.masked_seconds > 0 for row in rows.values())
    assert {name for name, row in rows.items() if row.native_seconds is None} == {"4"}
    assert rows["2"].native_seconds is not None  # possible, though it does not pay


def test_reasons_are_those_of_the_conversion():
    masked = net()
    stays = {row.name: row.stays for row in layer_times(masked, torch.zeros(3, 2, 5, 5))}
    native = to_native(copy.deepcopy(masked), inputs=torch.zeros(3, 2, 5, 5))
    for name, reason in stays.items():
        replaced = type(native.get_submodule(name)) is not type(masked.get_submodule(name))
        assert replaced == (reason == "")
    assert re.fullmatch(r"native would take [\d.]+ times as long", stays["2"])
    assert stays["4"] == "groups"


def test_the_net_is_left_as_it_was():
    masked = net()
    expected = copy.deepcopy(masked.state_dict())
    layer_times(masked, torch.zeros(3, 2, 5, 5))
    assert all(torch.equal(value, expected[name]) for name, value in masked.state_dict().items())
    assert all(parameter.grad is None for parameter in masked.parameters())


def test_to_native_prints_every_number_when_it_is_given_inputs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock) / 500)  # 2 ms at each look
    to_native(net(), inputs=torch.zeros(3, 2, 5, 5))
    headings, *rows, caption = capsys.readouterr().out.splitlines()
    assert re.split("  +", headings) == [
        "layer", "connectivity", "weights", "multiply-adds", "masked", "native",
    ]  # fmt: skip
    cells = [re.split("  +", row) for row in rows]
    assert cells[0][:-1] == ["0", "0.2083", "30", "2,250", "2.00", "2.00"]
    assert cells[2] == ["4", "0.1389", "20", "1,500", "2.00", "stays masked: groups"]
    assert [row[0] for row in cells] == list(KEPT)
    for row, each in zip(cells, layer_times(net(), torch.zeros(3, 2, 5, 5)), strict=True):
        assert row[-1] == (f"stays masked: {each.stays}" if each.stays else "native")
    assert len({row.index("2.00") for row in rows}) == 1  # numbers end at the same place
    assert caption.startswith("milliseconds")


def test_to_native_prints_nothing_otherwise(capsys: pytest.CaptureFixture[str]):
    to_native(net())
    assert capsys.readouterr().out == ""


def test_nets_of_any_inputs_and_layers_that_are_not_called():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(9, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 4)

        def forward(self, tokens, *, scale):
            x = self.embedding(tokens) * scale
            return self.head(input=x + self.attention(x, x, x)[0])

    tagger = sparsify(Tagger(), num_weights=100, seed=0)
    inputs = {"tokens": torch.ones(2, 5, dtype=torch.long), "scale": 2.0}
    (row,) = layer_times(tagger, inputs)  # the projections are of no layer that is called
    assert row.name == "head"
    assert row.multiply_adds == 10 * row.num_weights
