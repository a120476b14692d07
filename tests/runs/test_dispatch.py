"""Runs on machines that do not see the store: what is sent there, and what comes back."""

import platform
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from wider.data import Preprocessing
from wider.errors import InputError
from wider.models import OwnModel
from wider.runs import Run, RunSpec, Store, Widening, execute, train_missing
from wider.training import Engine

# An executor of a user's own. Its workers are this process, which forgets what they may not know.
ELSEWHERE = """
import sys
from wider.executors import Serial

class Elsewhere(Serial):
    shares_disk = False
    hidden = None  # a folder that workers do not see
    on_the_way = staticmethod(lambda: None)

    def map(self, function, tasks):
        for task in tasks:
            before = list(sys.path)
            sys.path[:] = [folder for folder in before if folder != self.hidden]
            if self.hidden:
                sys.modules.pop("nets_of_mine", None)
            try:
                self.on_the_way()
                yield function(task)
            finally:
                sys.path[:] = before
"""

NETS = """
from torch import nn
from parts_of_mine import last

def net(width, in_features, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_features, width), last(width, num_classes))
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The executor's class; its name is `executor_of_mine:Elsewhere`."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "executor_of_mine.py").write_text(ELSEWHERE)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "executor_of_mine", raising=False)
    import executor_of_mine  # pyright: ignore[reportMissingImports]

    return executor_of_mine.Elsewhere


def trained(specs: list[RunSpec], store: Store, **options: Any) -> list[Run]:
    return train_missing(specs, store, executor="executor_of_mine:Elsewhere", **options)


def test_runs_come_back_as_files(elsewhere, store, make_spec, finished, numbers):
    specs = [make_spec(seed=seed) for seed in (1, 0)]
    runs = trained(specs, store)
    assert [run.spec for run in runs] == specs
    assert numbers(store, runs[1]) == numbers(*finished)
    assert runs[1].result.provenance.executor == "executor_of_mine:Elsewhere"
    assert trained(specs, store) == runs
    assert not list((store.path / "locks").glob("*"))


def test_a_run_that_diverged_comes_back(elsewhere, store, make_spec):
    (run,) = trained([make_spec(learning_rate=1e30)], store)
    assert run.result.status == "diverged"
    assert run.history.diverged


def test_an_interrupted_run_goes_on_there(elsewhere, store, spec, finished, numbers, monkeypatch):
    def interrupt(row):
        if row.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(spec, store, checkpoint_seconds=0, on_epoch=interrupt)
    epochs, run_epoch = [], Engine.run_epoch

    def noting(self, *arguments):
        row = run_epoch(self, *arguments)
        epochs.append(row.epoch)
        return row

    monkeypatch.setattr(Engine, "run_epoch", noting)
    (run,) = trained([spec], store)
    assert epochs == [3]
    assert numbers(store, run) == numbers(*finished)
    assert not (store.folder(spec) / "checkpoint.safetensors").exists()


def test_a_run_that_another_process_trains_is_waited_for(elsewhere, store, make_spec, held, capsys):
    specs = [make_spec(seed=seed) for seed in (1, 0)]
    with held(store, specs[0]) as let_go:
        timer = threading.Timer(0.5, let_go)
        timer.start()
        runs = trained(specs, store)
        timer.join()
    assert [run.spec for run in runs] == specs
    assert f"waiting for {specs[0].title}" in capsys.readouterr().err


def test_an_error_there_names_the_machine_and_finished_runs_stay(elsewhere, store, make_spec):
    bad = make_spec().model_copy(
        update={"widening": Widening(base_width=2, width=6, allocation={"last": 1.0})}
    )
    with pytest.raises(InputError, match=rf"on {platform.node()}: .*last"):
        trained([make_spec(seed=1), bad], store)
    assert [run.spec for run in store.runs()] == [make_spec(seed=1)]
    assert not list((store.path / "locks").glob("*"))


def test_own_code_is_sent_with_what_it_imports(
    elsewhere, store, make_spec, tmp_path, monkeypatch, numbers
):
    folder = tmp_path / "code"
    (folder / "nets_of_mine.py").write_text(NETS)
    (folder / "parts_of_mine.py").write_text("from torch.nn import Linear as last\n")
    own = make_spec().model_copy(update={"model": OwnModel(name="nets_of_mine:net")})
    expected = execute(own, Store(tmp_path / "here"))
    monkeypatch.setattr(elsewhere, "hidden", str(folder))
    (run,) = trained([own], store)
    assert numbers(store, run) == numbers(Store(tmp_path / "here"), expected)
    assert run.digests == expected.digests


def test_other_data_there_are_refused(elsewhere, store, tmp_path, monkeypatch):
    folder = tmp_path / "data" / "mine"
    folder.mkdir(parents=True)
    rows = [f"{number},{number % 3},{number % 2}" for number in range(40)]
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text("\n".join(["a,b,target", *rows]) + "\n")
    spec = RunSpec.model_validate(
        {
            "data": {"dataset": "mine"},
            "widening": {"base_width": 2, "width": 6},
            "recipe": {"epochs": 1, "batch_size": 10},
        }
    )

    def changed() -> None:
        (folder / "train.csv").write_text("\n".join(["a,b,target", *rows, "7,7,1"]) + "\n")

    monkeypatch.setattr(elsewhere, "on_the_way", staticmethod(changed))
    with pytest.raises(InputError, match=r"on .*: the data of mine are others than where"):
        trained([spec], store, data_dir=folder.parent)


def test_data_that_are_not_there_are_named(
    elsewhere, store, make_spec, data_dir, tmp_path, monkeypatch
):
    folder = tmp_path / "data"
    shutil.copytree(data_dir / "mnist", folder / "mnist")
    spec = make_spec().model_copy(update={"data": Preprocessing(dataset="mnist")})
    monkeypatch.setattr(elsewhere, "on_the_way", staticmethod(lambda: shutil.rmtree(folder)))
    with pytest.raises(InputError, match=rf"on .*: .*{folder}"):
        trained([spec], store, data_dir=folder)
