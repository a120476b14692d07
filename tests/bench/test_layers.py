"""Peers of the suites of layers and nets compute the same thing."""

import sys
import time
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from wider.bench import (
    Case,
    Suite,
    both_passes,
    convolution,
    inference,
    linear,
    random_images,
    random_weight,
    resnet,
)
from wider.bench.convolution import Stack

from .tiny import SMALL

TOLERANCE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
STACKS = (Stack(4, 8), Stack(4, 8, stride=2, num_layers=1), Stack(4, 8, kernel=1, num_layers=2))


@pytest.fixture(autouse=True)
def without_sparseprop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sparseprop.modules", None)  # as if not installed


def results(case: Case) -> dict[str, tuple[Tensor, ...]]:
    return {peer.name: peer.run() for peer in case.peers()}


def only_case(suite: Suite) -> Case:
    (case,) = suite.cases
    return case


def test_a_random_weight_keeps_its_share_and_the_scale_of_images():
    weight, mask = random_weight((40, 300), 0.1, "a")
    assert mask.sum() == 1200
    assert ((weight != 0) == mask).all()
    outputs = random_images(200, 300) @ weight.t()
    assert outputs.std() == pytest.approx(1, abs=0.1)
    assert (random_weight((40, 300), 0.1, "b")[1] != mask).any()


def test_both_passes_give_outputs_and_all_gradients():
    layer = nn.Linear(3, 2)
    images, slope = random_images(4, 3), random_images(4, 2)
    outputs, image_slope, weight_slope, bias_slope = both_passes(layer, images, slope, steps=2)()
    torch.testing.assert_close(outputs, layer(images).detach())
    torch.testing.assert_close(image_slope, slope @ layer.weight.detach())
    torch.testing.assert_close(weight_slope, slope.t() @ images)
    torch.testing.assert_close(bias_slope, slope.sum(0))


@pytest.mark.parametrize("connectivity", [0.1, 1.0])
def test_linear_layers_agree(connectivity: float):
    suite = linear.suite(sizes=((24, 8),), connectivities=(connectivity,), batch_size=16)
    found = results(only_case(suite))
    assert list(found) == ["native", "dense PyTorch", "PyTorch CSR"]
    outputs, image_slope, weight_slope, bias_slope = found["dense PyTorch"]
    _, mask = random_weight((8, 24), connectivity, "linear")
    for other in ("native", "PyTorch CSR"):
        torch.testing.assert_close(found[other][0], outputs, **TOLERANCE)
        torch.testing.assert_close(found[other][1], image_slope, **TOLERANCE)
    parameters = {tuple(slope.shape): slope for slope in found["native"][2:]}
    torch.testing.assert_close(parameters[(8,)], bias_slope, **TOLERANCE)
    values_slope = parameters[(int(mask.sum()), 1)].flatten()
    torch.testing.assert_close(values_slope, weight_slope[mask], **TOLERANCE)
    sparse = found["PyTorch CSR"][2]
    assert sparse.layout == torch.sparse_csr
    torch.testing.assert_close(sparse.values(), weight_slope[mask], **TOLERANCE)


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_convolutions_agree(stack: Stack):
    suite = convolution.suite(stacks=(stack,), connectivities=(0.2,), batch_size=16)
    found = results(only_case(suite))
    assert list(found) == ["native", "dense PyTorch", "dense channels last"]
    dense, moved = found["dense PyTorch"], found["dense channels last"]
    assert all(torch.allclose(a, b, **TOLERANCE) for a, b in zip(dense, moved, strict=True))
    assert moved[0].is_contiguous(memory_format=torch.channels_last)
    for ours, theirs in zip(found["native"], dense[:2], strict=False):
        torch.testing.assert_close(ours, theirs, **TOLERANCE)
    shape = (stack.out_channels, stack.channels, stack.kernel, stack.kernel)
    for number in range(stack.num_layers):
        _, mask = random_weight(shape, 0.2, f"convolution {number}")
        ours, theirs = found["native"][2 + number], dense[2 + number]
        torch.testing.assert_close(ours.flatten(), theirs[mask], **TOLERANCE)


def test_inference_agrees_and_nothing_is_recorded():
    suite = inference.suite(sizes=(24, 16, 4), connectivities=(0.3,), calls=2)
    found = results(only_case(suite))
    assert list(found) == ["native", "dense PyTorch", "PyTorch CSR"]
    for outputs in found.values():
        assert isinstance(outputs, Tensor)
        assert outputs.is_inference()
        torch.testing.assert_close(outputs, found["dense PyTorch"], **TOLERANCE)


def test_residual_nets_train_alike():
    found = [
        (peer.name, [peer.run() for _ in range(3)])
        for peer in only_case(resnet.step_suite(widths=(2,), **SMALL)).peers()
    ]
    assert [name for name, _ in found] == ["native", "masked PyTorch", "dense PyTorch"]
    losses = dict(found)
    assert losses["native"] == pytest.approx(losses["masked PyTorch"], rel=1e-3)
    assert losses["dense PyTorch"] != pytest.approx(losses["masked PyTorch"], rel=1e-3)


class StandIn(nn.Module):
    """Stands in for SparseProp's modules: a dense layer, or one that is wrong."""

    factor = 1.0
    used: ClassVar[list[bool]] = []

    def __init__(self, layer: nn.Module, is_slow: bool) -> None:
        super().__init__()
        self.layer = layer
        self.is_slow = is_slow

    @classmethod
    def from_dense(cls, layer: nn.Module, *, vectorizing_over_on: bool = False) -> "StandIn":
        return cls(layer, isinstance(layer, nn.Conv2d) and not vectorizing_over_on)

    def forward(self, images: Tensor) -> Tensor:
        self.used.append(self.is_slow)
        if self.is_slow:
            time.sleep(0.05)
        return self.factor * self.layer(images)


class WrongStandIn(StandIn):
    factor = 1.1


SUITES_WITH_PEER = (
    linear.suite(sizes=((24, 8),), connectivities=(0.3,), batch_size=16),
    convolution.suite(stacks=STACKS[:1], connectivities=(0.3,), batch_size=16),
)


@pytest.mark.parametrize("suite", SUITES_WITH_PEER, ids=lambda suite: suite.name)
def test_sparseprop_takes_part_with_its_faster_kind(suite: Suite, monkeypatch: pytest.MonkeyPatch):
    modules = SimpleNamespace(SparseLinear=StandIn, SparseConv2d=StandIn)
    monkeypatch.setitem(sys.modules, "sparseprop.modules", modules)
    peers = {one.name: one.run for one in only_case(suite).peers()}
    assert list(peers)[-1] == "SparseProp"
    StandIn.used.clear()
    outputs = peers["SparseProp"]()[0]
    torch.testing.assert_close(outputs, peers["dense PyTorch"]()[0])
    assert set(StandIn.used) == {False}


@pytest.mark.parametrize("suite", SUITES_WITH_PEER, ids=lambda suite: suite.name)
def test_a_peer_that_computes_something_else_is_left_out(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
):
    modules = SimpleNamespace(SparseLinear=WrongStandIn, SparseConv2d=WrongStandIn)
    monkeypatch.setitem(sys.modules, "sparseprop.modules", modules)
    with pytest.warns(UserWarning, match="SparseProp computes something else here: left out"):
        assert "SparseProp" not in results(only_case(suite))
