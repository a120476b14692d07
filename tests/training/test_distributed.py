"""Two processes that train one net, against one that does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from wider.errors import InputError
from wider.runs import Store, execute
from wider.training import ALONE, Processes, is_first_process, joined_processes

from .together import CLIPPED, KILLED_AFTER, KILLED_AT, LEFT_AFTER, SPEC, mlp, trained

FLAGS = (
    "train --data.dataset digits --data.num-train 201 --model.num-hidden-layers 2 "
    "--widening.base-width 4 --widening.width 16 --recipe.epochs 4 --recipe.batch-size 50 "
    "--recipe.momentum 0.9 --store store"
)

SECONDS = 7  # the column of a history


def torchrun(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "WIDER_CACHE_DIR": str(folder / "cache"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote before both were killed in the middle of a run."""
    folder = tmp_path_factory.mktemp("killed")
    done = torchrun(folder, str(Path(__file__).with_name("together.py")), str(folder))
    assert "SIGKILL" in done.stderr or "exitcode: -9" in done.stderr, done.stderr
    return folder


def state(folder: Path, name: str, rank: int) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / f"{name}-{rank}.safetensors")


def check_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        ours, theirs = found[name], tensor
        if name == "history":
            ours, theirs = (
                each[:, torch.arange(each.shape[1]) != SECONDS] for each in (ours, theirs)
            )
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, equal_nan=True)
        if name.endswith("mask"):
            assert torch.equal(found[name], tensor)


def test_two_processes_take_the_steps_of_one(killed: Path):
    expected = trained(mlp()).state()
    for rank in (0, 1):
        check_close(state(killed, "mlp", rank), expected)


def test_a_gradient_is_clipped_when_all_processes_have_added_theirs(killed: Path):
    expected = trained(mlp(), recipe=CLIPPED).state()
    assert expected["history"].shape == (3, 11)
    for rank in (0, 1):
        check_close(state(killed, "clipped", rank), expected)


@pytest.mark.parametrize("name", ["mlp", "with-batch-norm"])
@pytest.mark.parametrize("steps", LEFT_AFTER)
def test_within_an_epoch_each_process_goes_on_with_its_own_numbers(
    killed: Path, name: str, steps: int
):
    for rank in (0, 1):
        expected, found = (state(killed, one, rank) for one in (name, f"{name}-on-after-{steps}"))
        assert set(found) == set(expected)
        for key, tensor in expected.items():
            if key.endswith("num_batches_tracked"):  # of the first process, which had more
                continue
            columns = slice(-1 if key == "history" else None)
            assert torch.equal(found[key][..., columns], tensor[..., columns]), key


def test_an_epoch_goes_on_in_another_number_of_processes(killed: Path):
    expected = trained(mlp()).state()
    for steps in LEFT_AFTER:
        of_two = safetensors.torch.load_file(killed / f"left-mlp-{steps}.safetensors")
        check_close(trained(mlp(), state=of_two).state(), expected)
    for rank in (0, 1):
        check_close(state(killed, "from-one", rank), expected)


@pytest.mark.parametrize("name", ["mlp", "with-batch-norm"])
def test_both_processes_hold_the_same_net(killed: Path, name: str):
    first, second = (state(killed, name, rank) for rank in (0, 1))
    counts = {key for key in first if key.endswith("num_batches_tracked")}
    for key in set(first) - counts - {"history"}:
        assert torch.equal(first[key], second[key]), key
    assert torch.equal(first["history"][:, :-1], second["history"][:, :-1])


def test_running_statistics_become_their_mean(killed: Path):
    for rank in (0, 1):
        assert (killed / f"mean-{rank}.txt").read_text() == "tensor([0.5000, 0.5000])"


def test_all_have_the_result_of_a_run_and_a_finished_one_is_not_trained_again(killed: Path):
    results = {path.read_text() for path in killed.glob("result-?-?.json")}
    assert len(list(killed.glob("result-?-?.json"))) == 4
    assert len(results) == 1  # the time at which it started is in it


def test_different_nets_are_refused_by_all(killed: Path):
    for rank in (0, 1):
        message = (killed / f"different-{rank}.txt").read_text()
        assert message.startswith(f"processes {rank} and {1 - rank} started from different nets")


def test_a_run_that_another_command_trains_is_left_to_it_by_all(killed: Path):
    assert len(list(killed.glob("elsewhere-*"))) == 2


def test_a_killed_run_goes_on_and_is_kept_once(killed: Path, tmp_path: Path):
    store = Store(killed / "store")
    checkpoint = store.read_checkpoint(SPEC)
    assert checkpoint is not None
    assert len(checkpoint["history"]) == KILLED_AFTER
    assert len(checkpoint["epoch.visited"]) == KILLED_AT
    done = torchrun(killed, "-m", "wider", *FLAGS.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy, last epoch") == 1
    assert done.stderr.count("1 runs to train, 0 in the store already") == 1
    (run,) = store.runs(on_damage=pytest.fail)
    assert run.spec == SPEC
    assert run.result.provenance.engine == "torch, masked, 2 processes"
    before = run.history.to_tensor()[:KILLED_AFTER]
    assert torch.equal(before.nan_to_num(), checkpoint["history"].nan_to_num())  # the seconds too
    expected = execute(SPEC, Store(tmp_path))
    for row, other in zip(run.history, expected.history, strict=True):
        assert row.train_loss == pytest.approx(other.train_loss, rel=1e-4)
        assert row.test_loss == pytest.approx(other.test_loss, rel=1e-4)


def test_without_torchrun_there_is_one_process():
    with joined_processes("cpu") as processes:
        assert processes == ALONE
        assert processes.told_by_first(7) == 7
    assert is_first_process()


def test_each_image_of_a_batch_is_one_processs():
    shares = [list(range(7))[Processes(rank, 3).share] for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4], [2, 5]]


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"TORCHELASTIC_RUN_ID": "1", "RANK": "1", "LOCAL_RANK": "1"}
    for name, value in {**variables, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("second_of_two")
def test_a_gpu_for_each_process(monkeypatch: pytest.MonkeyPatch):
    assert not is_first_process()
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with (
        pytest.raises(InputError, match="2 processes here, and there are 1 GPUs: use --nproc"),
        joined_processes("cuda"),
    ):
        pass
