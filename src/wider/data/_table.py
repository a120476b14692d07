"""Tables: a dataset of numeric columns and a target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from jaxtyping import Float32, Float64, Shaped
from torch import Tensor

from wider.data._dataset import Dataset, Normalisation, Preprocessing, digest_of
from wider.data._prepare import drawn_rows, prepared
from wider.data._training_data import Batch, InMemoryData, Part
from wider.data._transformations import TransformationSpec, transformed, transformed_task
from wider.tasks import Task

Columns = Float64[Tensor, "rows columns"]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one split.

    Args:
        inputs: one column for each feature.
        targets: the class of each row, from 0; or the numbers that are to be said of it.
    """

    inputs: Columns
    targets: Shaped[Tensor, "rows *numbers"]


@dataclass(frozen=True, eq=False)
class TableData(Dataset):
    """A table of numbers.

    Args:
        name: the name that was asked for.
        columns: the names of the features.
        target: the name of what is to be said.
        classes: the name of each class, in label order; None where numbers are to be said.
        encoding: how the table was stored; "array" where it was plain numbers.
        train: the rows to learn from.
        test: the rows to test on.
        digest: SHA-256, as hexadecimal digits, of all names and numbers.
        notes: what a user should know before training.
        transformations: that are done to the scaled features; what they leave is the task.
    """

    kind: ClassVar[str] = "a table's rows"
    fields: ClassVar[frozenset[str]] = frozenset(
        {
            "normalisation", "num_train", "num_validation", "scaled_by", "split_seed",
            "target", "transformations",
        }
    )  # fmt: skip

    name: str
    columns: tuple[str, ...]
    target: str
    classes: tuple[str, ...] | None
    encoding: str
    train: Rows
    test: Rows
    digest: str
    notes: tuple[str, ...] = ()
    transformations: tuple[TransformationSpec, ...] = ()

    @property
    def num_train(self) -> int:
        """How many training rows there are."""
        return len(self.train.inputs)

    @property
    def task(self) -> Task:
        """See `Dataset`."""
        num_classes = None if self.classes is None else len(self.classes)
        task = _task(len(self.columns), num_classes, self.train.targets)
        return transformed_task(task, self.transformations)

    def adapted(self, preprocessing: Preprocessing) -> Self:
        """See `Dataset`."""
        return replace(self, transformations=preprocessing.transformations)


def table_data(
    name: str,
    *,
    columns: Sequence[str],
    target: str,
    classes: Sequence[str] | None,
    train: Rows,
    test: Rows,
    encoding: str = "array",
    notes: Sequence[str] = (),
) -> TableData:
    """A table with its digest; arguments as of `TableData`."""
    names = list(classes) if classes is not None else None
    tensors = [train.inputs, train.targets, test.inputs, test.targets]
    return TableData(
        name=name,
        columns=tuple(columns),
        target=target,
        classes=None if classes is None else tuple(classes),
        encoding=encoding,
        train=train,
        test=test,
        digest=digest_of([list(columns), target, names], tensors),
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class PreparedTable(InMemoryData):
    """Features and targets in memory that are ready for training.

    Targets that are numbers have mean 0 and standard deviation 1 over the training examples, so
    that a mean squared error of 1 is what their mean alone reaches.

    Args:
        train_inputs: scaled features to learn from.
        train_targets: the class of each, from 0; or scaled numbers, one column for each.
        test_inputs: scaled features to test on.
        test_targets: theirs.
        validation_inputs: scaled features set aside from those of training; there may be none.
        validation_targets: theirs.
        num_classes: how many classes there are; None where numbers are to be said.
    """

    train_inputs: Float32[Tensor, "train features"]
    train_targets: Shaped[Tensor, "train *numbers"]
    test_inputs: Float32[Tensor, "test features"]
    test_targets: Shaped[Tensor, "test *numbers"]
    validation_inputs: Float32[Tensor, "validation features"]
    validation_targets: Shaped[Tensor, "validation *numbers"]
    num_classes: int | None

    @property
    def task(self) -> Task:
        """See `TrainingData`."""
        return _task(self.train_inputs.shape[1], self.num_classes, self.train_targets)

    def part(self, name: Part) -> Batch:
        """The features and targets of one part."""
        return getattr(self, f"{name}_inputs"), getattr(self, f"{name}_targets")


@prepared.register
def _(
    data: TableData,
    preprocessing: Preprocessing,
    *,
    workers: int | None,  # noqa: ARG001
) -> PreparedTable:
    train_rows, validation_rows = drawn_rows(data, preprocessing, "rows")
    rows: dict[Part, Rows] = {
        "train": Rows(data.train.inputs[train_rows], data.train.targets[train_rows]),
        "test": data.test,
        "validation": Rows(data.train.inputs[validation_rows], data.train.targets[validation_rows]),
    }
    sample = data.train if preprocessing.scaled_by == "all" else rows["train"]
    inputs = _scaled(
        {part: some.inputs for part, some in rows.items()},
        _middle_and_width(sample.inputs, preprocessing.normalisation),
    )
    targets: Mapping[Part, Tensor] = {part: some.targets for part, some in rows.items()}
    if data.classes is None:
        targets = _scaled(targets, _middle_and_width(sample.targets, "channel"))
    inputs = transformed(inputs, preprocessing.transformations)
    return PreparedTable(
        train_inputs=inputs["train"],
        train_targets=targets["train"],
        test_inputs=inputs["test"],
        test_targets=targets["test"],
        validation_inputs=inputs["validation"],
        validation_targets=targets["validation"],
        num_classes=None if data.classes is None else len(data.classes),
    )


def _task(num_features: int, num_classes: int | None, targets: Tensor) -> Task:
    if num_classes is None:
        return Task("features", (num_features,), "numbers", targets.shape[1])
    return Task("features", (num_features,), "classes", num_classes)


def _middle_and_width(
    columns: Columns, normalisation: Normalisation
) -> tuple[Float64[Tensor, " columns"], Float64[Tensor, " columns"]]:
    """What to subtract from each column, and what to divide it by then."""
    if normalisation == "unit":
        middle = columns.amin(0)
        width = columns.amax(0) - middle
    else:
        middle, width = columns.mean(0), columns.std(0, correction=0)
    # What never varies has nothing to be divided by; its deviation may be but rounding.
    varies = columns.amax(0) > columns.amin(0)
    return middle, torch.where(varies & (width > 0), width, 1.0)


def _scaled(
    parts: Mapping[Part, Columns],
    scale: tuple[Float64[Tensor, " columns"], Float64[Tensor, " columns"]],
) -> dict[Part, Float32[Tensor, "rows columns"]]:
    middle, width = scale
    return {part: ((columns - middle) / width).float() for part, columns in parts.items()}
