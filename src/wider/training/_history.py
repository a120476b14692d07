"""What a run measured, round by round."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Float64
from torch import Tensor


class Epoch(NamedTuple):
    """One row of a history. Accuracies are fractions, losses are means, in nats of classes.

    A round of steps, where a run counts these, has the same columns as an epoch.

    Attributes:
        epoch: 1 for the first.
        learning_rate: of its last step.
        train_loss: mean over the epoch's batches, each before its own step.
        train_accuracy: over the same batches; NaN where nothing is recognised.
        test_loss: after the epoch.
        test_accuracy: after the epoch.
        validation_accuracy: after the epoch; NaN where there is no validation split.
        seconds: wall time, with evaluation and the checkpoints that were written meanwhile.
        train_metric: as `train_accuracy`; NaN, as the next two, where the run's metric is accuracy.
        test_metric: after the epoch.
        validation_metric: after the epoch.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    validation_accuracy: float
    seconds: float
    train_metric: float = math.nan
    test_metric: float = math.nan
    validation_metric: float = math.nan

    @property
    def diverged(self) -> bool:
        """Whether the training loss is no longer a finite number."""
        return not math.isfinite(self.train_loss)


METRICS = ("train_metric", "test_metric", "validation_metric")
COLUMNS = tuple(name for name in Epoch._fields if name not in METRICS)


class History(tuple[Epoch, ...]):
    """All epochs of a run so far.

    Tables and tensors have columns of the metric only where there is one beside accuracy.
    """

    __slots__ = ()

    @property
    def diverged(self) -> bool:
        """Whether the run ended because its loss was no longer finite."""
        return bool(self) and self[-1].diverged

    @property
    def columns(self) -> list[str]:
        """Of its table and its tensor."""
        has_metric = any(not math.isnan(getattr(row, name)) for row in self for name in METRICS)
        return [*COLUMNS, *(METRICS if has_metric else ())]

    def to_table(self) -> pd.DataFrame:
        """One row per epoch."""
        columns = self.columns
        return pd.DataFrame([row[: len(columns)] for row in self], columns=columns)

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> "History":
        """The inverse of `to_table`.

        Raises:
            KeyError: a column is missing.
        """
        has_metric = any(name in table for name in METRICS)
        columns = [*COLUMNS, *(METRICS if has_metric else ())]
        return cls._from_rows(table[columns].itertuples(index=False))

    def to_tensor(self) -> Float64[Tensor, "epochs columns"]:
        """The same numbers as one tensor, for a checkpoint."""
        columns = self.columns
        rows = torch.tensor([row[: len(columns)] for row in self], dtype=torch.float64)
        return rows.reshape(len(self), len(columns))

    @classmethod
    def from_tensor(cls, rows: Float64[Tensor, "epochs columns"]) -> "History":
        """The inverse of `to_tensor`."""
        return cls._from_rows(rows.tolist())

    @classmethod
    def _from_rows(cls, rows: Iterable[Iterable[float]]) -> "History":
        return cls(Epoch(int(epoch), *map(float, numbers)) for epoch, *numbers in rows)
