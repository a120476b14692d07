"""Memory that is used again."""

import copy
import tracemalloc

import pytest
import torch
from torch import Tensor, nn

from wider.native import NativeBatchNorm2d
from wider.sparsity import sparsify, to_native

MEGABYTE = 2**20
ROW = 1024  # numbers
LARGE = MEGABYTE // (4 * ROW) + 3  # rows of more than the C library keeps by itself


@torch.no_grad()
def outputs(rows: int, columns: int = ROW) -> Tensor:
    """Of a native layer, of so many rows of so many numbers."""
    return NativeBatchNorm2d(1).eval()(torch.ones(1, 1, rows, columns))


@pytest.mark.parametrize(("rows", "columns"), [(1, 5), (5, 7), (LARGE, ROW)])
def test_results_have_their_shape_and_start_at_a_line_of_the_cache(rows: int, columns: int):
    tensor = outputs(rows, columns)
    assert (tensor.shape, tensor.dtype) == ((1, 1, rows, columns), torch.float32)
    assert tensor.data_ptr() % 64 == 0
    assert tensor.fill_(1).sum() == tensor.numel()


def test_memory_is_used_again_only_once_nobody_refers_to_it():
    first = outputs(LARGE)
    part, address = first[..., :10], first.data_ptr()
    del first
    second = outputs(LARGE)
    assert second.data_ptr() != address
    del part
    assert outputs(LARGE).data_ptr() == address


def test_no_more_is_kept_than_was_once_in_use():
    sizes = [MEGABYTE * (30 + number) for number in range(8)]
    tracemalloc.start()
    try:
        for size in sizes:  # one after the other, so that no more than the largest is in use
            outputs(size // (4 * ROW))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Of this process's tests none has had more than that in use.
    assert kept < sum(sizes) / 2


@pytest.mark.parametrize("layer", [nn.Linear(8, 8), nn.Conv2d(4, 8, 3), nn.BatchNorm2d(4)], ids=str)
def test_layers_compute_in_float32_on_the_cpu_whatever_pytorch_makes_by_default(layer: nn.Module):
    generator = torch.Generator().manual_seed(0)
    shape = (6, 8) if isinstance(layer, nn.Linear) else (6, 4, 5, 5)
    images = torch.randn(shape, generator=generator).requires_grad_()
    if not isinstance(layer, nn.BatchNorm2d):
        sparsify(layer, num_weights=30, seed=0)
    native = to_native(copy.deepcopy(layer))
    expected = layer(images)
    expected.square().sum().backward()
    slope, images.grad = images.grad, None
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            outputs = native(images)
            outputs.square().sum().backward()
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(images.grad, slope)
