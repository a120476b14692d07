import math

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wider.training import Epoch, History

COLUMNS = [
    "epoch",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "validation_accuracy",
    "seconds",
]
METRICS = ["train_metric", "test_metric", "validation_metric"]


def histories(*metrics: st.SearchStrategy) -> st.SearchStrategy:
    rows = st.tuples(st.integers(1, 10**9), *[st.floats() for _ in COLUMNS[1:]], *metrics)
    return st.lists(rows, max_size=4).map(lambda rows: History(Epoch(*row) for row in rows))


HISTORIES = histories()
WITH_METRIC = histories(*[st.floats(allow_nan=False)] * 3)


def an_epoch(number, train_loss=1.0):
    return Epoch(number, 0.1, train_loss, 0.5, 2.0, 0.25, math.nan, 3.5)


@given(HISTORIES)
def test_a_table_and_back_is_exact(history):
    table = history.to_table()
    assert list(table.columns) == COLUMNS
    assert len(table) == len(history)
    # repr shows every digit, the sign of zero, and NaN, which is not equal to itself.
    assert repr(History.from_table(table)) == repr(history)


@given(HISTORIES)
def test_a_tensor_and_back_is_exact(history):
    rows = history.to_tensor()
    assert rows.dtype == torch.float64
    assert rows.shape == (len(history), len(COLUMNS))
    assert repr(History.from_tensor(rows)) == repr(history)


@given(WITH_METRIC)
def test_so_it_is_with_a_metric_beside_the_accuracy(history):
    columns = [*COLUMNS, *(METRICS if history else [])]
    table, rows = history.to_table(), history.to_tensor()
    assert list(table.columns) == columns
    assert rows.shape == (len(history), len(columns))
    assert repr(History.from_table(table)) == repr(History.from_tensor(rows)) == repr(history)


def test_a_missing_column_of_the_metric_is_named():
    table = History([an_epoch(1)._replace(test_metric=1.0)]).to_table()
    with pytest.raises(KeyError, match="train_metric"):
        History.from_table(table.drop(columns="train_metric"))


def test_the_columns_of_the_tensor_are_those_of_the_table():
    history = History([Epoch(1, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)])
    assert history.to_tensor().tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]
    assert history.to_table().loc[0].to_dict() == dict(zip(COLUMNS, range(1, 9), strict=True))


def test_from_table_goes_by_name():
    history = History([Epoch(1, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)])
    shuffled = history.to_table()[COLUMNS[::-1]].assign(note="more")
    assert History.from_table(shuffled) == history


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_missing_column_is_named(missing):
    table = History([an_epoch(1)]).to_table().drop(columns=missing)
    with pytest.raises(KeyError, match=missing):
        History.from_table(table)


def test_empty():
    assert History() == ()
    assert not History().diverged
    pd.testing.assert_index_equal(History().to_table().columns, pd.Index(COLUMNS))


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_it_diverged_where_the_last_training_loss_is_not_finite(loss):
    assert an_epoch(1, loss).diverged
    assert History([an_epoch(1), an_epoch(2, loss)]).diverged
    assert not an_epoch(1, 1e308).diverged
    assert not History([an_epoch(1, loss), an_epoch(2)]).diverged
