"""The native linear layer at all sizes, and what it remembers of a layer's structure."""

import copy
import tracemalloc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wider.bench import torch_threads
from wider.native import SparseLinear


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


@pytest.mark.parametrize("batch", [2, 130])
def test_several_threads_give_the_same_numbers(batch: int):
    layer = drawn((1000, 800), 0.4, 0, bias=True)  # enough work for three threads
    images, gradient = torch.randn(batch, 800), torch.randn(batch, 1000)
    outcomes = []
    for threads in (1, 3):
        with torch_threads(threads):
            outcomes.append(results(layer, images, gradient, wanted=True))
    for one, other in zip(*outcomes, strict=True):
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


@torch.no_grad()
def test_structures_of_ever_new_layers_do_not_fill_the_memory():
    images, values, starts = torch.randn(5, 50), torch.randn(600), torch.arange(0, 601, 15)
    generator, kept = torch.Generator().manual_seed(0), []
    tracemalloc.start()
    try:
        for number in range(600):
            columns = torch.randint(50, (600,), generator=generator, dtype=torch.int32)
            torch.ops.wider.sparse_linear(images, values, columns, starts, None)
            if number % 300 == 299:
                kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # What is known of the last 256 is kept, should one of them come again; no more than that.
    assert kept[1] < 1.3 * kept[0]  # of all of them it would be twice as much


@pytest.mark.parametrize("connectivity", [0.01, 0.5])
def test_every_nonzero_has_its_place_forward_and_backward(connectivity: float):
    layer = drawn((400, 500), connectivity, 0, bias=False)
    weight, mask = layer.dense_weight().detach(), layer.mask()
    # Images and gradients of one number each: nothing is rounded.
    outputs, _, image_gradient = results(layer, torch.eye(500), torch.eye(500, 400), wanted=True)
    assert torch.equal(outputs, weight.t())
    assert torch.equal(image_gradient, torch.nn.functional.pad(weight, (0, 0, 0, 100)))
    generator = torch.Generator().manual_seed(1)
    images, gradient = (
        torch.randint(-8, 9, (130, size), generator=generator).float() for size in (500, 400)
    )
    _, value_gradient = results(layer, images, gradient, wanted=False)
    assert torch.equal(layer.spread(value_gradient), (gradient.t() @ images) * mask)


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
