"""The vector loops of the linear layer against their NumPy definitions."""

# pyright: reportCallIssue=false
# (Numba gives intrinsics their first argument, which pyright takes for one of the call's.)

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from wider.native._linear_vectors import gathered_dot, lanes_from_rows, prefetch, rows_from_lanes
from wider.native._vectors import LANES

counts = st.integers(1, LANES)


@njit
def call_lanes_from_rows(out, source, row_stride, num_rows, num_columns, totals):
    lanes_from_rows(out, 0, LANES, source, 3, row_stride, num_rows, num_columns, totals, 2)


@njit
def call_rows_from_lanes(out, row_stride, num_rows, num_columns, source):
    rows_from_lanes(out, 3, row_stride, num_rows, num_columns, source, 0, LANES)


@njit
def call_gathered_dot(values, columns, start, stop, source, source_start):
    return gathered_dot(values, columns, start, stop, source, source_start)


@njit
def call_prefetch(array, index):
    prefetch(array, index)


@given(num_rows=counts, num_columns=counts, with_totals=st.booleans())
def test_a_corner_of_a_block_is_transposed_and_summed(num_rows, num_columns, with_totals):
    row_stride = num_columns + 1
    # Not a number beyond what may be read.
    source = np.full(3 + num_rows * row_stride, np.nan, np.float32)
    rows = np.random.default_rng(0).standard_normal((num_rows, num_columns)).astype(np.float32)
    source[3:].reshape(num_rows, row_stride)[:, :num_columns] = rows
    out = np.full((LANES, LANES), np.nan, np.float32)
    totals = np.ones(2 + num_columns + 1, np.float32)
    call_lanes_from_rows(
        out.reshape(-1), source, row_stride, num_rows, num_columns, totals if with_totals else None
    )
    expected = np.zeros((LANES, LANES), np.float32)
    expected[:num_columns, :num_rows] = rows.T
    np.testing.assert_array_equal(out, expected)
    sums = np.ones_like(totals)
    if with_totals:
        sums[2:-1] += rows.sum(0)
    np.testing.assert_allclose(totals, sums, rtol=0, atol=1e-5)


@given(num_rows=counts, num_columns=counts)
def test_a_corner_of_a_block_is_transposed_back_and_nothing_else_written(num_rows, num_columns):
    row_stride = num_columns + 1
    source = np.random.default_rng(0).standard_normal((LANES, LANES)).astype(np.float32)
    out = np.full(3 + num_rows * row_stride, 7, np.float32)
    call_rows_from_lanes(out, row_stride, num_rows, num_columns, source.reshape(-1))
    expected = np.full_like(out, 7)
    inner = expected[3:].reshape(num_rows, row_stride)
    inner[:, :num_columns] = source[:num_columns, :num_rows].T
    np.testing.assert_array_equal(out, expected)


@given(count=st.integers(0, 50), start=st.integers(0, 5))
def test_a_gathered_dot_product(count, start):
    generator = np.random.default_rng(count)
    values = generator.standard_normal(start + count + 1).astype(np.float32)
    columns = generator.integers(0, 20, start + count + 1).astype(np.int32)
    source = generator.standard_normal(24).astype(np.float32)
    found = call_gathered_dot(values, columns, start, start + count, source, 4)
    own = slice(start, start + count)
    expected = values[own].astype(float) @ source[4 + columns[own]].astype(float)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_asking_for_a_line_changes_nothing():
    array = np.arange(32, dtype=np.float32)
    call_prefetch(array, 16)
    np.testing.assert_array_equal(array, np.arange(32))
