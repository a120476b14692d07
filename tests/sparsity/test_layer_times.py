"""What each layer costs, and what of it is printed."""

import copy

import torch
from torch import nn

from wider.sparsity import layer_times, sparsify, to_native
from wider.sparsity._layer_times import LayerTimes, print_table

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
    assert first.multiply_adds == 30 * 25
    assert rows["7"].multiply_adds == 40
    assert all(row.masked_seconds > 0 for row in rows.values())
    assert {name for name, row in rows.items() if row.native_seconds is None} == {"4"}
    assert rows["2"].native_seconds is not None  # possible, though it does not pay


def test_reasons_are_those_of_the_conversion():
    masked = net()
    stays = {row.name: row.stays for row in layer_times(masked, torch.zeros(3, 2, 5, 5))}
    native = to_native(copy.deepcopy(masked))
    for name, reason in stays.items():
        replaced = type(native.get_submodule(name)) is not type(masked.get_submodule(name))
        assert replaced == (reason == "")
    assert "connectivity above" in stays["2"]
    assert stays["4"] == "groups"


def test_the_net_is_left_as_it_was():
    masked = net()
    expected = copy.deepcopy(masked.state_dict())
    layer_times(masked, torch.zeros(3, 2, 5, 5))
    assert all(torch.equal(value, expected[name]) for name, value in masked.state_dict().items())
    assert all(parameter.grad is None for parameter in masked.parameters())


def test_the_table_holds_every_number(capsys):
    rows = [
        LayerTimes("hidden.0", 1 / 16, 3920, 3920, 2e-3, 1e-4, ""),
        LayerTimes("output", 1.0, 800, 800, 1e-4, None, "no native Bilinear"),
    ]
    print_table(rows)
    out = capsys.readouterr().out
    for text in ("hidden.0", "0.0625", "3,920", "2.00", "0.10", "stays masked: no native Bilinear"):
        assert text in out
    assert "stays masked" not in out.splitlines()[3]


def test_to_native_prints_it_when_it_is_given_images(capsys):
    to_native(net(), images=torch.zeros(3, 2, 5, 5))
    assert "multiply-adds" in capsys.readouterr().out
    to_native(net())
    assert capsys.readouterr().out == ""
