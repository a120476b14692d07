"""Runs on large images, from image files to results."""

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from wider.data import Preprocessing, prepare
from wider.errors import InputError
from wider.models import ResNet18Spec
from wider.runs import RunSpec, Store, Widening, execute, train_missing
from wider.runs._execute import _prepared
from wider.training import Recipe

# One core is enough here, although PyTorch advises against it. Python from 3.12 on warns of every
# fork beside threads; the workers touch none of what these hold.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
]


@pytest.fixture(autouse=True)
def nothing_prepared() -> Iterator[None]:
    """The number of workers is chosen anew."""
    _prepared.cache_clear()
    yield
    _prepared.cache_clear()


def spec_with(**data) -> RunSpec:
    return RunSpec(
        data=Preprocessing(**{"dataset": "photos", "image_size": 32, "num_validation": 3, **data}),
        model=ResNet18Spec(stem="imagenet"),
        widening=Widening(method="dense", base_width=2, width=2),
        recipe=Recipe(
            epochs=3,
            batch_size=5,
            learning_rate=0.05,
            momentum=0.9,
            weight_decay=1e-4,
            schedule="cosine",
            augmentation="resized-crop",
        ),
    )


def train(spec: RunSpec, store: Store, data_dir: Path, jobs: int = 1):
    console = Console(file=io.StringIO())
    return train_missing([spec], store, data_dir=data_dir, console=console, jobs=jobs)[0]


@pytest.fixture
def finished(tmp_path: Path, prepared_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """A run whose images were decoded by two workers."""
    monkeypatch.setattr("wider.runs._execute.prepare", partial(prepare, workers=2))
    store = Store(tmp_path / "two workers")
    run = train(spec_with(), store, prepared_dir)
    monkeypatch.setattr("wider.runs._execute.prepare", partial(prepare, workers=0))
    _prepared.cache_clear()
    return store, run


def test_a_run_is_the_same_for_all_workers_and_when_interrupted(
    finished, tmp_path: Path, prepared_dir: Path, numbers: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = finished[1].result
    assert result.image_shape == (3, 32, 32)
    assert result.num_classes == 2
    assert result.provenance.data_encoding == "jpeg"
    assert [row.learning_rate for row in finished[1].history] == pytest.approx(
        [0.05, 0.0375, 0.0125]
    )
    assert all(0 <= row.validation_accuracy <= 1 for row in finished[1].history)
    alone = Store(tmp_path / "no worker")
    run = train(spec_with(), alone, prepared_dir)
    assert numbers(alone, run) == numbers(*finished)

    # Workers of the runs, each with a worker of its own for the images.
    jobs = Store(tmp_path / "jobs")
    assert numbers(jobs, train(spec_with(), jobs, prepared_dir, jobs=2)) == numbers(*finished)

    def interrupt(row) -> None:
        if row.epoch == 2:
            raise KeyboardInterrupt

    again = Store(tmp_path / "interrupted")
    with pytest.raises(KeyboardInterrupt):
        execute(spec_with(), again, data_dir=prepared_dir, on_epoch=interrupt, checkpoint_seconds=0)
    assert again.epochs_done(spec_with()) == 2
    assert numbers(again, train(spec_with(), again, prepared_dir)) == numbers(*finished)

    within, writes = Store(tmp_path / "within an epoch"), []
    write = within.write_checkpoint

    def interrupt_sixth(*arguments, digests) -> None:
        write(*arguments, digests=digests)
        writes.append(arguments)
        if len(writes) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(within, "write_checkpoint", interrupt_sixth)
    monkeypatch.setattr("wider.runs._execute.prepare", partial(prepare, workers=2))
    _prepared.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        execute(spec_with(), within, data_dir=prepared_dir, checkpoint_seconds=0)
    # Three steps an epoch; 14 images to train on, 3 of validation and 8 of test.
    assert within.epochs_done(spec_with()) == 1 + 10 / 25
    assert numbers(within, train(spec_with(), within, prepared_dir)) == numbers(*finished)


def test_a_sparse_net_learns_what_sets_the_classes_apart(
    tmp_path: Path, prepared_dir: Path
) -> None:
    spec = spec_with(num_validation=0).model_copy(
        update={
            "widening": Widening(base_width=4, width=8),
            "recipe": Recipe(epochs=12, batch_size=6, augmentation="resized-crop"),
        }
    )
    run = train(spec, Store(tmp_path / "store"), prepared_dir)  # dark cats and bright dogs
    assert run.history[-1].train_loss < run.history[0].train_loss / 2


@pytest.mark.parametrize(
    ("data", "named"),
    [({"image_size": None}, "image_size"), ({"normalisation": "pixel"}, "channel")],
)
def test_bad_input_is_refused_before_anything_is_written(
    tmp_path: Path, prepared_dir: Path, data: dict, named: str
) -> None:
    store = Store(tmp_path / "store")
    with pytest.raises(InputError, match=named):
        train(spec_with(**data), store, prepared_dir)
    assert store.runs() == []
