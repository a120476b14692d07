"""What a run measured, epoch by epoch."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Float64
from torch import Tensor


class Epoch(NamedTuple):
    """One row of a history. Accuracies are fractions, losses are means in nats.

    Attributes:
        epoch: 1 for the first.
        learning_rate: of its last step.
        train_loss: mean over the epoch's batches, each before its own step.
        train_accuracy: over the same batches.
        test_loss: after the epoch.
        test_accuracy: after the epoch.
        validation_accuracy: after the epoch; NaN where there is no validation split.
        seconds: wall time, with evaluation and the checkpoints that were written meanwhile.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    validation_accuracy: float
    seconds: float
    test_metric: float = math.nan
    validation_metric: float = math.nan

    @property
    def diverged(self) -> bool:
        """Whether the training loss is no longer a finite number."""
        return not math.isfinite(self.train_loss)


class History(tuple[Epoch, ...]):
    """All epochs of a run so far."""

    __slots__ = ()

    @property
    def diverged(self) -> bool:
        """Whether the run ended because its loss was no longer finite."""
        return bool(self) and self[-1].diverged

    def to_table(self) -> pd.DataFrame:
        """One row per epoch."""
        return pd.DataFrame(list(self), columns=list(Epoch._fields)).iloc[:, :8]

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> "History":
        """The inverse of `to_table`.

        Raises:
            KeyError: a column is missing.
        """
        return cls._from_rows(table[list(Epoch._fields[:8])].itertuples(index=False))

    def to_tensor(self) -> Float64[Tensor, "epochs columns"]:
        """The same numbers as one tensor, for a checkpoint."""
        rows = torch.tensor([row[:8] for row in self], dtype=torch.float64)
        return rows.reshape(len(self), 8)

    @classmethod
    def from_tensor(cls, rows: Float64[Tensor, "epochs columns"]) -> "History":
        """The inverse of `to_tensor`."""
        return cls._from_rows(rows.tolist())

    @classmethod
    def _from_rows(cls, rows: Iterable[Iterable[float]]) -> "History":
        return cls(Epoch(int(epoch), *map(float, numbers)) for epoch, *numbers in rows)
