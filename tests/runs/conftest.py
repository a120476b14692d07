"""A run that takes a tenth of a second, and a store that holds it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from wider.data import Batch, PreparedData, Preprocessing
from wider.models import MLPSpec
from wider.runs import Run, RunSpec, Store, Widening, execute
from wider.training import Epoch, Recipe

HOLD = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("WIDER_CACHE_DIR", str(folder))
    return folder


def build_spec(*, seed: int = 0, **recipe: Any) -> RunSpec:
    """A net of 148 weights (base width 2, 64 x 2 + 2 x 10) at width 6."""
    return RunSpec(
        data=Preprocessing(dataset="digits", num_train=230, num_validation=60),
        widening=Widening(base_width=2, width=6),
        recipe=Recipe(**{"epochs": 3, "batch_size": 50, "learning_rate": 0.2, **recipe}),
        seed=seed,
    )


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., RunSpec]:
    return build_spec


@pytest.fixture(scope="session")
def spec() -> RunSpec:
    return build_spec()


@pytest.fixture(scope="session")
def by_steps(spec: RunSpec) -> RunSpec:
    """A run of which a checkpoint may be written after each step, of which an epoch has five."""
    return spec.model_copy(update={"model": MLPSpec(batch_norm=True)})


@pytest.fixture
def visited(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many training images each step of such a run visits from now on."""
    counts, train_batches = [], PreparedData.train_batches

    def noting(*arguments: Any, **keywords: Any) -> Iterator[Batch]:
        for images, labels in train_batches(*arguments, **keywords):
            counts.append(len(labels))
            yield images, labels

    monkeypatch.setattr(PreparedData, "train_batches", noting)
    return counts


@pytest.fixture(scope="session")
def finished(spec: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Run]:
    """A store that holds one finished run; for reading only."""
    store = Store(tmp_path_factory.mktemp("finished"))
    return store, execute(spec, store)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture
def filled(finished: tuple[Store, Run], tmp_path: Path) -> Store:
    """A copy of the store that holds one finished run, to be damaged."""
    shutil.copytree(finished[0].path, tmp_path / "filled")
    return Store(tmp_path / "filled")


@pytest.fixture(scope="session")
def numbers() -> Callable[[Store, Run], tuple[Any, ...]]:
    """What two executions of one spec have in common: all but time, memory and provenance."""

    def numbers(store: Store, run: Run) -> tuple[Any, ...]:
        measured = {"seconds", "peak_memory", "provenance"}
        return (
            [row._replace(seconds=0.0) for row in run.history],
            run.result.model_dump(exclude=measured),
            (store.folder(run.spec) / "model.safetensors").read_bytes(),
        )

    return numbers


@pytest.fixture
def held() -> Callable[[Store, RunSpec], AbstractContextManager[Callable[[], None]]]:
    """Another process that holds the lock of a run, until the block ends or it is let go."""

    @contextmanager
    def held(store: Store, spec: RunSpec) -> Iterator[Callable[[], None]]:
        command = [sys.executable, "-c", HOLD, store.lock(spec).lock_file]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == "held\n"
                yield process.stdin.close
            finally:
                process.kill()

    return held


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is an error."""

    def run_epoch(*_: object) -> Epoch:
        raise AssertionError("an epoch was trained")

    monkeypatch.setattr("wider.training.Engine.run_epoch", run_epoch)


@pytest.fixture(scope="session")
def edit_json() -> Callable[..., None]:
    """Changes one entry of a JSON file, given the keys that lead to it."""

    def edit(path: Path, *keys: str, value: object) -> None:
        document = json.loads(path.read_bytes())
        entry = document
        for key in keys[:-1]:
            entry = entry[key]
        assert entry[keys[-1]] != value
        entry[keys[-1]] = value
        path.write_text(json.dumps(document))

    return edit
