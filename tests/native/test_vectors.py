"""The vector loops against their NumPy definitions."""

# pyright: reportCallIssue=false
# (Numba gives intrinsics their first argument, which pyright takes for one of the call's.)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from wider.native._vectors import (
    LANES,
    backward_column,
    forward_row,
    transpose_block,
    weight_gradients,
)

TILES = [(0,), (0, 0, 0)]
EPSILON = np.finfo(np.float32).eps


@njit
def call_forward(vectors, out, scale, bias, rectify, values, columns, source):
    forward_row(vectors, out, 0, scale, bias, rectify, values, columns, 0, len(values), source, 0)


@njit
def call_backward(vectors, out, scale, gate, rectified, values, rows, source):
    backward_column(
        vectors, out, 0, scale, gate, 0, rectified, values, rows, 0, len(values), source, 0
    )


@njit
def call_gradients(vectors, out, total, scale, gradient, columns, source):
    weight_gradients(
        vectors, out, total, 0, scale, gradient, 0, columns, 0, len(columns), source, 0
    )


@njit
def call_transpose(out, source, rows, row_length, column):
    transpose_block(out, 0, LANES, source, rows, 0, row_length, column)


def drawn(seed: int, vectors: tuple[int, ...], features: int, kept: int):
    """Values, columns and [feature][lane] numbers of a random row."""
    generator = np.random.default_rng(seed)
    values = generator.standard_normal(kept).astype(np.float32)
    columns = generator.choice(features, kept, replace=False).astype(np.int32)
    source = generator.standard_normal((features, len(vectors) * LANES)).astype(np.float32)
    return values, columns, source


def tolerance(values: np.ndarray) -> float:
    """The rounding of a sum of so many products of this size, in whatever order."""
    return float(EPSILON * (len(values) + 4) * (1 + np.abs(values).sum()) * 5)


cases = {
    "vectors": st.sampled_from(TILES),
    "seed": st.integers(0, 2**32 - 1),
    "kept": st.integers(0, 40),
}


@given(**cases, rectify=st.booleans())
def test_forward_row(vectors, seed, kept, rectify):
    values, columns, source = drawn(seed, vectors, 40, kept)
    out = np.empty(source.shape[1], np.float32)
    call_forward(
        vectors, out, np.float32(0.5), np.float32(0.1), rectify, values, columns, source.ravel()
    )
    expected = 0.5 * (values.astype(np.float64) @ source[columns]) + 0.1
    if rectify:
        expected = np.maximum(expected, 0)
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance(values))


@given(**cases, rectified=st.booleans())
def test_backward_column(vectors, seed, kept, rectified):
    values, rows, source = drawn(seed, vectors, 40, kept)
    gate = np.random.default_rng(seed + 1).standard_normal(source.shape[1]).astype(np.float32)
    gate[0] = 0  # the derivative of ReLU at 0 is 0, as in PyTorch
    out = np.empty_like(gate)
    call_backward(vectors, out, np.float32(2), gate, rectified, values, rows, source.ravel())
    expected = 2 * (values.astype(np.float64) @ source[rows])
    if rectified:
        expected[gate <= 0] = 0
        assert (out[gate <= 0] == 0).all()
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance(values))


@given(**cases)
def test_weight_gradients_are_added_and_so_is_their_bias(vectors, seed, kept):
    _, columns, source = drawn(seed, vectors, 40, kept)
    gradient = np.random.default_rng(seed + 1).standard_normal(source.shape[1]).astype(np.float32)
    out, total = np.ones(kept, np.float32), np.ones(1, np.float32)
    call_gradients(vectors, out, total, np.float32(0.5), gradient, columns, source.ravel())
    expected = 1 + 0.5 * (source[columns].astype(np.float64) @ gradient)
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance(gradient))
    assert total[0] == pytest.approx(1 + gradient.sum(dtype=np.float64), abs=tolerance(gradient))


def test_nan_passes_through_relu_in_both_directions():
    nan = np.full(LANES, np.nan, np.float32)
    one, column = np.ones(1, np.float32), np.zeros(1, np.int32)
    out = np.zeros(LANES, np.float32)
    call_forward((0,), out, np.float32(1), np.float32(0), True, one, column, nan)
    assert np.isnan(out).all()
    out[:] = 0
    call_backward((0,), out, np.float32(1), nan, True, one, column, np.ones(LANES, np.float32))
    assert (out == 1).all()


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_transpose_block(seed, block):
    generator = np.random.default_rng(seed)
    source = generator.standard_normal((50, 64)).astype(np.float32)
    rows = generator.integers(0, 50, LANES)
    out = np.empty((LANES, LANES), np.float32)
    call_transpose(out.reshape(-1), source.reshape(-1), rows, 64, block * LANES)
    np.testing.assert_array_equal(out, source[rows, block * LANES : (block + 1) * LANES].T)
