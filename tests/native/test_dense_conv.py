"""Convolutions that keep all their weights, in the sparse kernels."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from wider.native import IMPLEMENTATIONS, NativeConv2d

sizes = st.integers(1, 9)


def native(layer: nn.Conv2d) -> nn.Conv2d:
    made = copy.deepcopy(layer)
    made.__class__ = NativeConv2d
    return made


def drawn(*arguments: int, **options: object) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(*arguments, **options)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The images that the kernels get."""
    images: list[Tensor] = []
    key = "sparse_conv2d", "cpu"
    kernels = IMPLEMENTATIONS[key]

    def watched(first: Tensor, *others: object) -> Tensor:
        images.append(first)
        return kernels.forward(first, *others)

    monkeypatch.setitem(IMPLEMENTATIONS, key, kernels._replace(forward=watched))
    return images


@given(
    channels=st.tuples(sizes, sizes),
    kernel=st.sampled_from([(1, 1), (3, 3), (3, 1), (7, 7)]),
    stride=st.sampled_from([(1, 1), (2, 2), (1, 3)]),
    image=st.tuples(sizes, st.sampled_from([4, 7, 16, 32])),
    batch=st.sampled_from([1, 5, 17]),
    bias=st.booleans(),
    wanted=st.booleans(),
)
@settings(max_examples=40)
def test_outputs_and_gradients_are_those_of_pytorch(
    channels, kernel, stride, image, batch, bias, wanted
):
    padding = kernel[0] // 2, kernel[1] // 2
    plain = drawn(*channels, kernel, stride=stride, padding=padding, bias=bias)
    found, exact = native(plain), copy.deepcopy(plain).double()
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(batch, channels[0], *image, generator=generator).requires_grad_(wanted)
    doubled = images.detach().double().requires_grad_(wanted)
    outputs, expected = found(images), exact(doubled)
    slope = torch.randn(outputs.shape, generator=generator)
    outputs.backward(slope)
    expected.backward(slope.double())
    pairs = [(outputs, expected)]
    for one, other in zip(found.parameters(), exact.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        pairs.append((one.grad, other.grad))
    assert (images.grad is not None) == wanted
    if images.grad is not None and doubled.grad is not None:
        pairs.append((images.grad, doubled.grad))
    for one, other in pairs:
        # Rounding of sums of as many products as there are places in a batch.
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=2e-4)


def test_the_kernels_compute_only_what_they_are_made_for(seen: list[Tensor]):
    plain = drawn(3, 4, 3, padding=1)
    layer, images = native(plain), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(layer(images), plain(images))
    assert len(seen) == 1
    last = images.to(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(last), plain(images))
    torch.testing.assert_close(layer(images[0]), plain(images[0]))
    with torch.autocast("cpu"):
        assert layer(images).dtype == torch.bfloat16
    torch.testing.assert_close(torch.func.vmap(layer)(images[None]), plain(images)[None])
    doubled = layer.double()
    assert torch.equal(doubled(images.double()), plain.double()(images.double()))
    with pytest.raises(RuntimeError, match="channels"):
        doubled(torch.zeros(2, 4, 8, 8).double())
    assert len(seen) == 1


def test_gradients_can_be_differentiated():
    layer = native(drawn(2, 3, 3))
    images = torch.randn(1, 2, 5, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(images).square().sum(), images, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), layer.weight)
    exact = copy.deepcopy(layer).double()
    copied = images.detach().double().requires_grad_()
    (first,) = torch.autograd.grad(exact(copied).square().sum(), copied, create_graph=True)
    (expected,) = torch.autograd.grad(first.sum(), exact.weight)
    torch.testing.assert_close(second.double(), expected, rtol=1e-4, atol=1e-4)


def test_it_can_be_compiled():
    layer = native(drawn(3, 4, 3))
    images = torch.randn(2, 3, 8, 8)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), layer(images))
