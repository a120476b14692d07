"""Native layers against PyTorch's own, in double precision."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from wider.errors import InputError
from wider.native import (
    IMPLEMENTATIONS,
    Implementation,
    SlowLayerWarning,
    SparseConv2d,
    SparseLayer,
    SparseLinear,
)

sizes = st.integers(1, 20)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


def drawn(shape: tuple[int, ...], connectivity: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A weight, its mask (with at least one entry) and a bias."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(shape, generator=generator) < connectivity
    mask.view(-1)[0] = True
    weight = torch.randn(shape, generator=generator)
    return weight, mask, torch.randn(shape[0], generator=generator)


def assert_same_as_reference(layer: SparseLayer, images: Tensor) -> None:
    """Outputs and all gradients, through a smooth function, against the dense weight in float64."""
    exact = copy.deepcopy(layer).double()
    exact_images = images.double().requires_grad_()
    images = images.clone().requires_grad_()
    outputs, exact_outputs = layer(images), exact(exact_images)
    # The rounding of sums of so many float32 products of numbers of order one.
    terms = max(layer.shape[1:].numel(), exact_outputs.numel() // layer.shape[0])
    atol = 3e-7 * terms
    torch.testing.assert_close(outputs.double(), exact_outputs, rtol=1e-5, atol=atol)
    outputs.tanh().sum().backward()
    exact_outputs.tanh().sum().backward()
    pairs = [(images, exact_images), *zip(layer.parameters(), exact.parameters(), strict=True)]
    for found, expected in pairs:
        assert found.grad is not None
        assert expected.grad is not None
        torch.testing.assert_close(found.grad.double(), expected.grad, rtol=1e-5, atol=atol)


@given(
    batch=st.integers(1, 40),
    shape=st.tuples(sizes, st.integers(1, 50)),
    connectivity=st.floats(0.01, 1),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40)
def test_linear_is_that_of_the_dense_weight(batch, shape, connectivity, bias, seed):
    weight, mask, biases = drawn(shape, connectivity, seed)
    layer = SparseLinear(weight, mask, biases if bias else None)
    images = torch.randn(batch, shape[1], generator=torch.Generator().manual_seed(seed))
    assert_same_as_reference(layer, images)


@given(
    batch=st.sampled_from([1, 16, 19]),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    image=st.tuples(sizes, sizes),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=pairs,
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    connectivity=st.floats(0.01, 1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=100)
def test_convolution_is_that_of_the_dense_weight(
    batch, channels, image, kernel, stride, padding, connectivity, seed
):
    if any(size + 2 * pad < tap for size, pad, tap in zip(image, padding, kernel, strict=True)):
        return
    weight, mask, bias = drawn((*channels, *kernel), connectivity, seed)
    layer = SparseConv2d(weight, mask, bias, stride=stride, padding=padding)
    generator = torch.Generator().manual_seed(seed)
    assert_same_as_reference(layer, torch.randn(batch, channels[1], *image, generator=generator))


def example(kind: str) -> tuple[SparseLayer, Tensor]:
    if kind == "linear":
        return SparseLinear(*drawn((6, 20), 0.3, 0)), torch.randn(5, 20)
    layer = SparseConv2d(*drawn((6, 4, 3, 3), 0.3, 0), stride=(2, 2), padding=(1, 1))
    return layer, torch.randn(5, 4, 9, 8)


@pytest.mark.parametrize("kind", ["linear", "convolution"])
class TestEveryLayer:
    """What every native layer does."""

    def test_reference_path_passes_gradcheck_in_double_precision(self, kind: str):
        layer, images = example(kind)
        layer = layer.double()
        assert layer.bias is not None

        def outputs(images: Tensor, values: Tensor, bias: Tensor) -> Tensor:
            parameters = {"values": values, "bias": bias}
            return torch.func.functional_call(layer, parameters, images)

        arguments = (images[:2].double(), layer.values.detach(), layer.bias.detach())
        assert torch.autograd.gradcheck(outputs, [each.requires_grad_() for each in arguments])

    def test_operator_is_a_good_citizen_of_pytorch(self, kind: str):
        layer, images = example(kind)
        layer(images)  # which makes PyTorch know the operator
        arguments = [images.requires_grad_(), layer.values, layer.columns, layer.starts, layer.bias]
        operator = torch.ops.wider.sparse_linear
        if isinstance(layer, SparseConv2d):
            arguments += [list(layer.shape[2:]), list(layer.stride), list(layer.padding)]
            operator = torch.ops.wider.sparse_conv2d
        torch.library.opcheck(operator.default, tuple(arguments))

    def test_can_be_exported(self, kind: str):
        layer, images = example(kind)
        program = torch.export.export(layer, (images,))
        torch.testing.assert_close(program.module()(images), layer(images))

    def test_parameters_gradients_and_state_follow_the_nonzeros(self, kind: str):
        layer, images = example(kind)
        optimiser = torch.optim.Adam(layer.parameters())
        layer(images).sum().backward()
        optimiser.step()
        nonzeros = int(layer.mask().sum())
        assert layer.num_weights == layer.values.numel() == nonzeros
        assert layer.values.grad is not None
        assert layer.values.grad.numel() == nonzeros
        assert optimiser.state[layer.values]["exp_avg"].numel() == nonzeros
        assert sum(buffer.numel() for buffer in layer.buffers()) == nonzeros + layer.shape[0] + 1

    def test_state_dict_holds_values_and_structure(self, kind: str, tmp_path: Path):
        layer, images = example(kind)
        safetensors.torch.save_file(layer.state_dict(), tmp_path / "layer.safetensors")
        other, _ = example(kind)
        generator = torch.Generator().manual_seed(9)
        moved = layer.mask().flatten(1)[
            :, torch.randperm(layer.shape[1:].numel(), generator=generator)
        ]
        other = type(layer)(torch.zeros(layer.shape), moved.reshape(layer.shape), layer.bias)
        if isinstance(other, SparseConv2d) and isinstance(layer, SparseConv2d):
            other.stride, other.padding = layer.stride, layer.padding
        other(images)  # whatever it remembers of its structure must not outlive the loading
        other.load_state_dict(safetensors.torch.load_file(tmp_path / "layer.safetensors"))
        assert torch.equal(other(images), layer(images))
        assert torch.equal(other.dense_weight(), layer.dense_weight())

    def test_copies_are_independent(self, kind: str):
        layer, images = example(kind)
        before = layer(images).detach().clone()
        other = copy.deepcopy(layer)
        with torch.no_grad():
            other.values.zero_()
        assert torch.equal(layer(images), before)

    def test_batches_of_any_size_and_none(self, kind: str):
        layer, images = example(kind)
        for count in (1, 3):
            torch.testing.assert_close(layer(images[:count]), layer(images)[:count])
        assert len(layer(images[:0])) == 0

    def test_inputs_need_not_be_contiguous(self, kind: str):
        layer, images = example(kind)
        crooked = images.transpose(0, 1).contiguous().transpose(0, 1)
        assert not crooked.is_contiguous()
        torch.testing.assert_close(layer(crooked), layer(images))

    def test_rows_without_any_weight_give_their_bias(self, kind: str):
        layer, images = example(kind)
        weight, mask = layer.dense_weight().detach(), layer.mask()
        mask[2] = False
        thinner = type(layer)(weight, mask, layer.bias)
        assert layer.bias is not None
        found = thinner(images)[:, 2]
        assert torch.equal(found, layer.bias[2].expand_as(found))

    def test_without_kernels_it_computes_through_the_dense_weight_and_says_so(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ):
        layer, images = example(kind)
        expected = layer(images)
        name = "sparse_linear" if kind == "linear" else "sparse_conv2d"
        monkeypatch.delitem(IMPLEMENTATIONS, (name, "cpu"))
        with pytest.warns(SlowLayerWarning, match="pip install ziglang"):
            found = layer(images)
        torch.testing.assert_close(found, expected)

    def test_another_device_has_an_implementation_of_its_own_or_the_dense_weight(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ):
        layer, images = example(kind)
        layer, images = layer.to("meta"), images.to("meta")
        shape, asked = layer(images).shape, []  # through the dense weight

        def forward(images: Tensor, *_: object) -> Tensor:
            asked.append("forward")
            return images.new_empty(shape)

        def backward(_: Tensor, images: Tensor, values: Tensor, *others: object):
            asked.append("backward")
            by_bias = [values.new_empty(layer.shape[0])] if kind == "linear" else []
            return torch.empty_like(images), torch.empty_like(values), *by_bias

        name = "sparse_linear" if kind == "linear" else "sparse_conv2d"
        monkeypatch.setitem(IMPLEMENTATIONS, (name, "meta"), Implementation(forward, backward))
        layer(images).sum().backward()
        assert asked == ["forward", "backward"]

    def test_wrong_inputs_are_named(self, kind: str):
        layer, images = example(kind)
        with pytest.raises(InputError, match="the layer takes"):
            layer(images.movedim(1, -1)[..., :1])

    def test_weight_and_mask_of_two_shapes_are_refused(self, kind: str):
        layer, _ = example(kind)
        with pytest.raises(InputError, match="must have one shape"):
            type(layer)(torch.zeros(2, 3), torch.ones(3, 2, dtype=torch.bool), None)


def test_linear_takes_leading_dimensions():
    layer, _ = example("linear")
    images = torch.randn(2, 3, 20)
    expected = functional.linear(images, layer.dense_weight(), layer.bias)
    torch.testing.assert_close(layer(images), expected)


def test_many_structures_and_image_sizes_do_not_get_mixed_up():
    """The same shapes with other non-zeros, and one layer at several image sizes, in turn."""
    layers = [SparseConv2d(*drawn((4, 4, 3, 3), 0.4, seed), padding=(1, 1)) for seed in range(3)]
    for size in (8, 5, 8, 16, 5):
        images = torch.randn(16, 4, size, size)
        for layer in layers:
            expected = functional.conv2d(images, layer.dense_weight(), layer.bias, padding=1)
            torch.testing.assert_close(layer(images), expected)


def test_a_convolution_needs_four_dimensions():
    with pytest.raises(InputError, match="has 2 dimensions"):
        SparseConv2d(torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool), None)


def test_parameters_are_listed_in_the_print():
    layer, _ = example("convolution")
    assert f"{layer.num_weights} of 216 weights" in repr(nn.Sequential(layer))


def test_importing_wider_does_not_load_pytorchs_compiler():
    script = "import sys, wider; sys.exit('torch._dynamo' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
