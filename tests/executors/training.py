"""Runs by an executor, against the same runs in this process."""

from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from wider.data import Preprocessing
from wider.runs import Run, RunSpec, Store, Widening, execute, train_missing
from wider.training import Recipe


def spec(seed: int, *, epochs: int = 3, **fields: Any) -> RunSpec:
    """A net of 148 weights, which takes a tenth of a second."""
    return RunSpec(
        data=Preprocessing(dataset="digits", num_train=230, num_validation=60),
        widening=Widening(base_width=2, width=6),
        recipe=Recipe(epochs=epochs, batch_size=50, learning_rate=0.2),
        seed=seed,
        **fields,
    )


def trained(specs: list[RunSpec], store: Store, **options: Any) -> list[Run]:
    """What `train_missing` gives, without a word."""
    return train_missing(specs, store, console=Console(file=StringIO()), **options)


def assert_same_as_serial(specs: list[RunSpec], store: Store, runs: list[Run], tmp_path: Path):
    """Bit for bit: tests and workers compute on one thread each."""
    alone = Store(tmp_path / "alone")
    for spec, run in zip(specs, runs, strict=True):
        expected = execute(spec, alone)
        assert run.spec == spec
        assert numbers(store, run) == numbers(alone, expected)


def numbers(store: Store, run: Run) -> tuple[Any, ...]:
    """What two executions of one spec have in common."""
    return (
        [row._replace(seconds=0.0) for row in run.history],
        run.result.model_dump(exclude={"seconds", "peak_memory", "provenance"}),
        (store.folder(run.spec) / "model.safetensors").read_bytes(),
    )
