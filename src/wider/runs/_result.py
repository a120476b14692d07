"""What is kept of a finished run besides its history and its model."""

import math
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from wider.runs._kernel import MeasuredDistances
from wider.tasks import Task
from wider.training import Epoch, History


class _Grown(BaseModel):
    """What gained fields after the first release; at their defaults they are not written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    later: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        defaults = {name: type(self).model_fields[name].default for name in self.later}
        return {
            name: value
            for name, value in write(self).items()
            if name not in defaults or getattr(self, name) != defaults[name]
        }


class BestEpoch(_Grown):
    """The epoch at which some metric was best; the first one among equals.

    Attributes:
        epoch: 1 for the first.
        test_accuracy: at that epoch, a fraction; None where nothing is recognised.
        test_metric: at that epoch, the run's metric; None where that is the accuracy.
    """

    later = ("test_metric",)

    epoch: int
    test_accuracy: float | None
    test_metric: float | None = None

    @classmethod
    def of(cls, row: Epoch) -> Self:
        """The epoch of a row of a history."""
        return cls(
            epoch=row.epoch,
            test_accuracy=_number(row.test_accuracy),
            test_metric=_number(row.test_metric),
        )


class Provenance(_Grown):
    """Where a result comes from. None of this is part of a run's identity.

    Attributes:
        started: local time with offset, ISO 8601.
        commit: of the repository that the code ran from, "+changes" appended where it had
            uncommitted ones; None outside a repository.
        versions: of Python and the packages that compute.
        machine: processor, and GPU where one was used.
        engine: what computed the steps, and whether the zeros were multiplied (masked) or not.
        device: "cpu" or "cuda".
        threads: that PyTorch used.
        data_digest: SHA-256 of the examples and what is to be said of them.
        data_encoding: file format of the stored examples.
        code_digest: SHA-256 of the source of the user's own code; None where there was none.
        executor: by which it was run, such as "serial"; None where an earlier version did not say.
    """

    later = ("code_digest", "executor")

    started: str
    commit: str | None
    versions: dict[str, str]
    machine: str
    engine: str
    device: str
    threads: int
    data_digest: str
    data_encoding: str
    code_digest: str | None = None
    executor: str | None = None


class RunResult(_Grown):
    """The outcome of one run. Accuracies are fractions.

    Attributes:
        status: "diverged" where the loss ceased to be a finite number; the run ends there.
        num_weights: trainable and not masked.
        connectivity: per layer, and of the whole net under "".
        image_shape: channels, height, width; None where no images went in.
        num_classes: outputs of the net; None where no images went in.
        epochs: trained; of a run whose length is in steps, evaluations.
        final: the last epoch.
        best_test: the best on test examples, as the paper reports it: picked on the test set.
        best_validation: picked on the validation split; None where there is none.
        seconds: wall time of all epochs.
        peak_memory: bytes, of the GPU where one was used, else of the process; 0: not measured.
        provenance: where the result comes from.
        kernel: distances of the untrained net's kernel; None where none were asked for.
        other_task: of the net, where it is not to recognise images.
        metric: by which epochs, and runs, are compared.
        higher_is_better: of the metric.
        multiply_adds: of one example's forward pass, where only the net itself can tell.
        family_weights: of the family's baseline, where only the net itself can tell.
        measured: by the run's measurements, {measurement: {name: number}}.
    """

    later = (
        "other_task",
        "metric",
        "higher_is_better",
        "multiply_adds",
        "family_weights",
        "measured",
    )

    status: Literal["finished", "diverged"]
    num_weights: int
    connectivity: dict[str, float]
    image_shape: tuple[int, int, int] | None
    num_classes: int | None
    epochs: int
    final: BestEpoch
    best_test: BestEpoch
    best_validation: BestEpoch | None
    seconds: float
    peak_memory: int
    provenance: Provenance
    kernel: MeasuredDistances | None = None
    other_task: Task | None = None
    metric: str = "accuracy"
    higher_is_better: bool = True
    multiply_adds: int | None = None
    family_weights: int | None = None
    measured: dict[str, dict[str, float]] = {}

    def told(self, epoch: BestEpoch, *, digits: int = 2) -> str:
        """What was reached on test examples at an epoch, in percent where that is the accuracy.

        Args:
            epoch: one of `final`, `best_test` and `best_validation`.
            digits: of a percentage.
        """
        if epoch.test_metric is not None:
            return f"{epoch.test_metric:.4g} {self.words}"
        accuracy = math.nan if epoch.test_accuracy is None else epoch.test_accuracy
        return f"{accuracy:.{digits}%}"

    @property
    def words(self) -> str:
        """The run's metric, as people read it."""
        return self.metric.replace("-", " ").replace("_", " ")

    @property
    def task(self) -> Task:
        """What the net takes and gives."""
        if self.other_task is not None:
            return self.other_task
        assert self.image_shape is not None
        assert self.num_classes is not None
        return Task.of_images(self.image_shape, self.num_classes)


def task_fields(task: Task) -> dict[str, object]:
    """The fields of a `RunResult` that say what a net takes and gives."""
    if task.input == "images" and task.output == "classes":
        return {"image_shape": task.shape, "num_classes": task.num_outputs}
    return {"image_shape": None, "num_classes": None, "other_task": task}


def summary_of(
    history: History, *, metric: str = "accuracy", higher_is_better: bool = True
) -> dict[str, object]:
    """The fields of a `RunResult` that follow from the history alone.

    Args:
        history: all epochs.
        metric: by which epochs are compared.
        higher_is_better: of the metric.
    """
    test, validation = (
        (f"{part}_accuracy" if metric == "accuracy" else f"{part}_metric")
        for part in ("test", "validation")
    )
    sign = 1 if higher_is_better else -1

    def best(column: str) -> Epoch | None:
        rows = [row for row in history if not math.isnan(getattr(row, column))]
        return max(rows, key=lambda row: sign * getattr(row, column), default=None)

    best_validation = best(validation)
    return {
        "status": "diverged" if history.diverged else "finished",
        "epochs": len(history),
        "final": BestEpoch.of(history[-1]),
        "best_test": BestEpoch.of(best(test) or history[0]),
        "best_validation": best_validation and BestEpoch.of(best_validation),
        "seconds": sum(row.seconds for row in history),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
