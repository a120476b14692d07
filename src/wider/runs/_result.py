"""What is kept of a finished run besides its history and its model."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from wider.runs._kernel import KernelDistances
from wider.training import Epoch, History


class BestEpoch(BaseModel):
    """The epoch at which some accuracy was highest; the first one among equals.

    Attributes:
        epoch: 1 for the first.
        test_accuracy: at that epoch, a fraction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    test_accuracy: float

    @classmethod
    def of(cls, row: Epoch) -> Self:
        """The epoch of a row of a history."""
        return cls(epoch=row.epoch, test_accuracy=row.test_accuracy)


class Provenance(BaseModel):
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
        data_digest: SHA-256 of the images and labels.
        data_encoding: file format of the stored images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    started: str
    commit: str | None
    versions: dict[str, str]
    machine: str
    engine: str
    device: str
    threads: int
    data_digest: str
    data_encoding: str


class RunResult(BaseModel):
    """The outcome of one run. Accuracies are fractions.

    Attributes:
        status: "diverged" where the loss ceased to be a finite number; the run ends there.
        num_weights: trainable and not masked.
        connectivity: per layer, and of the whole net under "".
        image_shape: channels, height, width.
        num_classes: outputs of the net.
        epochs: trained.
        final: the last epoch.
        best_test: the best test accuracy reached, as the paper reports it: picked on the test set.
        best_validation: picked on the validation split; None where there is none.
        seconds: wall time of all epochs.
        peak_memory: bytes, of the GPU where one was used, else of the process; 0: not measured.
        provenance: where the result comes from.
        kernel: distances of the untrained net's kernel; None where none were asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Literal["finished", "diverged"]
    num_weights: int
    connectivity: dict[str, float]
    image_shape: tuple[int, int, int]
    num_classes: int
    epochs: int
    final: BestEpoch
    best_test: BestEpoch
    best_validation: BestEpoch | None
    seconds: float
    peak_memory: int
    provenance: Provenance
    kernel: KernelDistances | None = None


def summarise(history: History) -> dict[str, object]:
    """The fields of a `RunResult` that follow from the history alone."""
    by_validation = [row for row in history if row.validation_accuracy >= 0]  # drops NaN
    best_validation = max(by_validation, key=lambda row: row.validation_accuracy, default=None)
    return {
        "status": "diverged" if history.diverged else "finished",
        "epochs": len(history),
        "final": BestEpoch.of(history[-1]),
        "best_test": BestEpoch.of(max(history, key=lambda row: row.test_accuracy)),
        "best_validation": best_validation and BestEpoch.of(best_validation),
        "seconds": sum(row.seconds for row in history),
    }
