"""Ray: tasks on the machines of a cluster, whose disks need not be shared."""

import logging
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import chain, islice
from typing import Any

from wider.errors import InputError
from wider.executors._executor import (
    EXECUTORS,
    GOES_ON,
    ONE_THREAD,
    Executor,
    LostWorkerError,
    Result,
    Task,
    answer,
    opened,
    packed,
)
from wider.extras import imported

RETRIES = 3  # of a task whose worker or node is lost
PATIENCE = 10.0  # seconds in which a cluster has to answer


@EXECUTORS.register("ray")
class Ray(Executor):
    """Tasks of Ray, each on one thread, and with a GPU of its own where it needs one.

    A task that is lost with its worker or its node runs again elsewhere.

    The address is that of a cluster to which this machine belongs: HOST:PORT of its head, or "auto"
    for the one that runs here. Without an address a Ray is started for these tasks, and ended.
    """

    has_address = True
    shares_disk = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _ray()

    @property
    def is_here(self) -> bool:
        """See `Executor`."""
        return self.address is None

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[Result, None, None]:
        """See `Executor`."""
        waiting = iter(tasks)
        first = list(islice(waiting, 1))
        if not first:
            return
        with self._connected() as ray:
            remote = ray.remote(
                num_cpus=1,
                num_gpus=1 if self.needs_gpu else 0,
                max_retries=RETRIES,
                runtime_env={"env_vars": ONE_THREAD},
            )(answer)
            running = {
                remote.remote(packed(function, task))
                for task in chain(first, islice(waiting, self.jobs - 1))
            }
            while running:
                (done,), _ = ray.wait(list(running), num_returns=1)
                running.remove(done)
                result = opened(_got(ray, done))
                for task in islice(waiting, 1):
                    running.add(remote.remote(packed(function, task)))
                yield result

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        ray = _ray()
        if ray.is_initialized():
            raise InputError(
                "this program is connected to Ray already, and what it runs there could not be "
                "told from the tasks here: call ray.shutdown() before"
            )
        where: dict[str, Any] = {"address": self.address}
        if self.address is None:
            where = {"address": "local", "num_cpus": self.jobs, "include_dashboard": False}
        else:
            _check_reachable(self.address)
        try:
            with _own_sigterm():
                _connect(ray, where)
            if self.needs_gpu and not ray.cluster_resources().get("GPU"):
                warnings.warn("Ray has no GPU now: runs wait until it has", stacklevel=2)
            with redirect_stdout(sys.stderr):  # Ray prints there what becomes of its nodes
                yield ray
        finally:
            # Tasks end with it. To cancel one that ends by itself aborts this process (Ray 2.60).
            ray.shutdown()


def _ray() -> Any:
    return imported("ray", extra="ray")


def _connect(ray: Any, where: dict[str, Any]) -> None:
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise InputError(
            f"cannot connect to Ray ({where['address']}: {' '.join(str(error).split())}): check "
            "--address and that this machine belongs to the cluster (ray start --address=...); "
            "where the cluster has a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here"
        ) from error


def _check_reachable(address: str) -> None:
    """Or Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():  # "auto", or what Ray itself refuses
        return
    try:
        socket.create_connection((host.rpartition("/")[2], int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"nothing answers at {address!r} ({error}): check --address; `ray start --head` says "
            "which it is"
        ) from error


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keeps what this process does on SIGTERM, which Ray would change."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _got(ray: Any, reference: Any) -> bytes:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # `answer` itself raises nothing
        *_, reason = str(error).splitlines()
        raise InputError(
            f"a worker of Ray cannot run wider ({reason}): install the same version of wider on "
            "every node"
        ) from error
    except ray.exceptions.RayError as error:
        reason, *_ = str(error).splitlines() or [type(error).__name__]
        raise LostWorkerError(
            f"a worker of Ray was lost {RETRIES + 1} times ({reason}): use fewer jobs if it wants "
            f"for memory; {GOES_ON}"
        ) from error
