"""Ray, of two nodes on this machine and of its own; tasks see no files but their own."""

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.executors.contract import Contract, Make
from tests.executors.training import assert_same_as_serial, spec, trained

from wider.cli import main
from wider.errors import InputError
from wider.executors import EXECUTORS, LostWorkerError
from wider.runs import Store

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="pip install 'wider[ray]'"
)

KILL = "__import__('os').kill(__import__('os').getpid(), 9)"


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def token() -> Iterator[None]:
    """Ray's token, which would else be written to the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex())
        yield


@pytest.fixture(scope="module")
def cluster(token: None) -> Iterator[Any]:
    """Two nodes of one processor each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


class TestContract(Contract):
    @pytest.fixture
    def make(self, cluster: Any) -> Make:
        return lambda jobs: EXECUTORS.find("ray")(jobs=jobs, address=cluster.address)

    def test_a_worker_that_is_killed(self, make: Make, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("wider.executors._ray.RETRIES", 0)
        with pytest.raises(LostWorkerError, match=r"a worker of Ray was lost 1 times .*goes on"):
            list(make(1).map(eval, [KILL]))


def test_a_cluster_without_a_gpu_is_told_of(cluster: Any):
    executor = EXECUTORS.find("ray")(address=cluster.address, needs_gpu=True)
    with pytest.raises(UserWarning, match="no GPU now: runs wait"):  # an error, in tests
        list(executor.map(abs, [1]))


def test_a_node_that_is_killed_loses_nothing(cluster: Any, tmp_path: Path):
    specs, store = [spec(seed, epochs=100) for seed in range(6)], Store(tmp_path / "store")
    first: dict[Path, int] = {}

    def kill() -> None:
        wait_for(lambda: list(store.path.glob("*/result.json")))
        first.update((path, path.stat().st_mtime_ns) for path in store.path.glob("*/result.json"))
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    handler = signal.getsignal(signal.SIGTERM)
    runs = trained(specs, store, executor="ray", address=cluster.address, jobs=2)
    killer.join()
    assert signal.getsignal(signal.SIGTERM) == handler
    assert first == {path: path.stat().st_mtime_ns for path in first}
    assert_same_as_serial([specs[0], specs[5]], store, [runs[0], runs[5]], tmp_path)
    assert {run.result.provenance.executor for run in runs} == {"ray"}


def test_where_nothing_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    for wrong, words in ((address, "nothing answers at"), ("nonsense", "cannot connect to Ray")):
        with pytest.raises(InputError, match=f"{words}.*--address"):
            list(EXECUTORS.find("ray")(address=wrong).map(abs, [1]))


STUDY = """
data = { dataset = "digits", num_train = 230 }
widening = { base_width = 2, width = 6 }
recipe = { epochs = 60, batch_size = 20 }
grid.seed = [0, 1, 2, 3, 4, 5]
"""


def test_interrupted_it_ends_the_ray_that_it_started(
    token: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WIDER_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    command = ["sweep", "study.toml"]
    with subprocess.Popen(
        [sys.executable, "-m", "wider", *command, "--executor", "ray", "--jobs", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_for(lambda: list(tmp_path.glob("runs/*/result.json")))
        started = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "the same command goes on" in errors
    assert started
    wait_for(lambda: not any(map(is_alive, started)))
    assert not list(tmp_path.glob("runs/locks/*"))
    there = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/result.json")}
    assert main(command) == 0
    assert (
        there.items()
        <= {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/result.json")}.items()
    )


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
