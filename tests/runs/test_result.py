import math

import pytest
from pydantic import ValidationError

from wider.runs import BestEpoch, Provenance, RunResult, summary_of
from wider.training import Epoch, History

NAN = math.nan


def history(*rows, losses=None):
    """Rows of (test accuracy, validation accuracy); epoch k takes k seconds."""
    losses = losses or [1.0] * len(rows)
    return History(
        Epoch(number, 0.1, loss, 0.9, 2.0, test, validation, float(number))
        for number, ((test, validation), loss) in enumerate(zip(rows, losses, strict=True), 1)
    )


def best(epoch, test_accuracy):
    return BestEpoch(epoch=epoch, test_accuracy=test_accuracy)


def test_final_and_best_are_different_epochs():
    assert summary_of(history((0.5, 0.7), (0.9, 0.6), (0.8, 0.8), (0.1, 0.2))) == {
        "status": "finished",
        "epochs": 4,
        "final": best(4, 0.1),
        "best_test": best(2, 0.9),
        "best_validation": best(3, 0.8),  # picked by 0.8 on validation, where the test says 0.8
        "seconds": 10.0,
    }


def test_the_test_accuracy_of_the_best_validation_epoch_is_that_of_the_epoch():
    summary = summary_of(history((0.5, 0.1), (0.3, 0.9), (0.6, 0.2)))
    assert summary["best_validation"] == best(2, 0.3)
    assert summary["best_test"] == best(3, 0.6)


def test_among_equals_the_first_is_best():
    summary = summary_of(history((0.2, 0.4), (0.5, 0.9), (0.5, 0.9), (0.5, 0.1)))
    assert summary["best_test"] == best(2, 0.5)
    assert summary["best_validation"] == best(2, 0.5)
    flat = summary_of(history((0.0, 0.0), (0.0, 0.0)))
    assert flat["best_test"] == flat["best_validation"] == best(1, 0.0)


def test_without_validation_there_is_no_best_on_it():
    summary = summary_of(history((0.5, NAN), (0.6, NAN)))
    assert summary["best_validation"] is None
    assert summary["best_test"] == best(2, 0.6)


@pytest.mark.parametrize("loss", [NAN, math.inf])
def test_a_run_that_diverged_keeps_its_best_epoch(loss):
    summary = summary_of(history((0.5, 0.4), (0.7, 0.6), (0.1, 0.1), losses=[2.0, 1.0, loss]))
    assert summary["status"] == "diverged"
    assert summary["epochs"] == 3
    assert summary["final"] == best(3, 0.1)
    assert summary["best_test"] == summary["best_validation"] == best(2, 0.7)


def test_one_epoch():
    summary = summary_of(history((0.25, NAN)))
    assert summary["final"] == summary["best_test"] == best(1, 0.25)
    assert summary["seconds"] == 1.0


@pytest.mark.parametrize(
    ("epoch", "told"),
    [
        (BestEpoch(epoch=1, test_accuracy=0.0), "0.00%"),  # a net that recognises nothing
        (BestEpoch(epoch=1, test_accuracy=0.125), "12.50%"),
        (BestEpoch(epoch=1, test_accuracy=0.5, test_metric=0.0), "0 bits per byte"),
        (BestEpoch(epoch=1, test_accuracy=None, test_metric=2.34567), "2.346 bits per byte"),
    ],
)
def test_what_was_reached_is_told(epoch: BestEpoch, told: str):
    assert RunResult.model_construct(metric="bits-per-byte").told(epoch) == told


def test_frozen_and_closed():
    with pytest.raises(ValidationError, match="frozen"):
        best(1, 0.5).epoch = 2  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError, match="train_accuracy"):
        BestEpoch.model_validate({"epoch": 1, "test_accuracy": 0.5, "train_accuracy": 0.5})


def test_a_result_of_before_executors_is_written_as_it_was(finished):
    document = finished[1].result.provenance.model_dump()
    assert document["executor"] == "serial"
    del document["executor"]
    before = Provenance.model_validate(document)
    assert before.executor is None
    assert before.model_dump() == document
