"""The native linear layer at all sizes, and what it remembers of a layer's structure."""

import copy
import gc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wider.native import SparseLinear, _linear, _linear_plan, _structures


def drawn(shape: tuple[int, int], connectivity: float, seed: int, *, bias: bool) -> SparseLinear:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(shape, generator=generator) < connectivity
    weight = torch.randn(shape, generator=generator)
    return SparseLinear(weight, mask, torch.randn(shape[0], generator=generator) if bias else None)


def results(layer: SparseLinear, images: Tensor, gradient: Tensor, *, wanted: bool) -> list[Tensor]:
    """Outputs and the gradients of parameters and, where wanted, of the images."""
    images = images.clone().requires_grad_(wanted)
    layer.zero_grad()
    outputs = layer(images)
    outputs.backward(gradient)
    gradients = [parameter.grad for parameter in layer.parameters()]
    if wanted:
        gradients.append(images.grad)
    assert all(each is not None for each in gradients)
    return [outputs.detach(), *(each for each in gradients if each is not None)]


def assert_exact(layer: SparseLinear, batch: int, seed: int, *, wanted: bool = True) -> None:
    """Against the dense weight in double precision, but for the rounding of float32 sums."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, layer.shape[1], generator=generator)
    gradient = torch.randn(batch, layer.shape[0], generator=generator)
    found = results(layer, images, gradient, wanted=wanted)
    reference = copy.deepcopy(layer).double()
    exact = results(reference, images.double(), gradient.double(), wanted=wanted)
    for one, other in zip(found, exact, strict=True):
        atol = 3e-7 * max(*layer.shape, batch)
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=atol)


@given(
    batch=st.sampled_from([0, 1, 4, 5, 16, 40, 130]),
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    connectivity=st.floats(0, 1),
    bias=st.booleans(),
    wanted=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_outputs_and_gradients_are_those_of_the_dense_weight(
    batch, shape, connectivity, bias, wanted, seed
):
    layer = drawn(shape, connectivity, seed, bias=bias)
    assert_exact(layer, batch, seed, wanted=wanted)


@pytest.mark.parametrize(("out_features", "in_features"), [(3, 2500), (1100, 40)])
def test_more_units_than_lie_in_a_cache(out_features: int, in_features: int):
    assert_exact(drawn((out_features, in_features), 0.05, 0, bias=True), 130, 0)


@pytest.mark.parametrize("batch", [2, 40])
def test_several_threads_give_the_same_numbers(batch: int, monkeypatch: pytest.MonkeyPatch):
    layer = drawn((90, 70), 0.3, 0, bias=True)
    images, gradient = torch.randn(batch, 70), torch.randn(batch, 90)
    alone = results(layer, images, gradient, wanted=True)
    monkeypatch.setattr(_linear, "WORK", 1)
    monkeypatch.setattr(_linear, "WORK_OF_FEW", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        together = results(layer, images, gradient, wanted=True)
    finally:
        torch.set_num_threads(before)
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


def test_units_without_any_weight():
    weight, mask = torch.randn(40, 50), torch.rand(40, 50) < 0.3
    mask[7], mask[:, 9] = False, False
    assert_exact(SparseLinear(weight, mask, torch.randn(40)), 20, 0)


def test_weights_need_not_be_in_order_within_a_row():
    layer = drawn((60, 200), 0.5, 0, bias=True)
    with torch.no_grad():
        for start, stop in zip(layer.starts[:-1].tolist(), layer.starts[1:].tolist(), strict=True):
            layer.columns[start:stop] = layer.columns[start:stop].flip(0)
    assert_exact(layer, 130, 0)


def test_a_structure_that_changes_in_place_is_noticed():
    layer = drawn((40, 50), 0.3, 0, bias=True)
    assert_exact(layer, 40, 0)
    with torch.no_grad():
        layer.columns.copy_(49 - layer.columns)
    assert_exact(layer, 40, 0)


def test_a_structure_of_inference_tensors():
    with torch.inference_mode():
        layer = drawn((40, 50), 0.3, 0, bias=True)
        images = torch.randn(20, 50)
        expected = torch.nn.functional.linear(images, layer.dense_weight(), layer.bias)
        for _ in range(2):
            torch.testing.assert_close(layer(images), expected)


def test_what_is_known_of_a_layer_goes_with_it():
    gc.collect()
    before = len(_structures._by_identity)
    layer = drawn((40, 50), 0.3, 0, bias=True)
    layer(torch.randn(20, 50))
    assert len(_structures._by_identity) == before + 1
    del layer
    gc.collect()
    assert len(_structures._by_identity) == before


def test_structures_of_ever_new_layers_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_structures, "MOST_KEPT", 3)
    for seed in range(5):
        drawn((4, 5), 0.5, seed, bias=True)(torch.randn(20, 5))
    assert len(_structures._by_content) == 3


@pytest.mark.parametrize("connectivity", [0.01, 0.5])
def test_every_nonzero_has_its_place_in_both_orders(connectivity: float):
    layer = drawn((400, 500), connectivity, 0, bias=False)
    columns, starts = layer.columns.numpy(), layer.starts.numpy()
    structure = _linear_plan.Structure(columns, starts, 500)
    by_rows = structure.row_starts(8).starts.numpy()
    assert np.array_equal(by_rows[:, 0], starts[:-1])
    assert np.array_equal(by_rows[:, -1], starts[1:])
    assert (np.diff(by_rows) >= 0).all()
    *tensors, block, _ = structure.by_input(8)
    order, rows, edges = (each.numpy() for each in tensors)
    assert np.array_equal(np.sort(order), np.arange(len(columns)))
    number, unit = np.divmod(np.arange(edges[:, :-1].size), 500)
    counts = np.diff(edges).ravel()
    assert np.array_equal(columns[order], np.repeat(unit, counts))
    expected = np.repeat(np.arange(400), np.diff(starts))[order]
    assert np.array_equal(rows + np.repeat(number, counts) * block, expected)


def test_can_be_compiled():
    layer = drawn((40, 50), 0.3, 0, bias=True)
    images, gradient = torch.randn(20, 50), torch.randn(20, 40)
    expected = results(layer, images, gradient, wanted=True)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    images.requires_grad_()
    layer.zero_grad()
    outputs = compiled(images)
    outputs.backward(gradient)
    assert layer.bias is not None
    found = [outputs, layer.values.grad, layer.bias.grad, images.grad]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
