"""Many runs, on several processes, with progress."""

import itertools
import os
import signal
import warnings
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from filelock import Timeout
from joblib import Parallel, delayed, parallel_config
from rich.console import Console

from wider.data import ImageData, LargeImageData, Preprocessing, load_for
from wider.errors import InputError
from wider.runs._cost import estimated_seconds
from wider.runs._execute import execute, usable_device
from wider.runs._progress import Progress
from wider.runs._spec import RunSpec
from wider.runs._store import DamagedRun, Run, Store
from wider.training import Precision, Processes, joined_processes

SECONDS_TO_DIE = 5  # for a worker that is being killed


def train_missing(
    specs: Sequence[RunSpec],
    store: Store,
    *,
    data_dir: Path | None = None,
    device: str = "cpu",
    precision: Precision = "float32",
    jobs: int = 1,
    console: Console | None = None,
) -> list[Run]:
    """Trains the runs that a store lacks, and returns all of them.

    Several calls may work on one store at the same time; none trains what another is training.
    Interrupted at any moment, the same call goes on where it was. Under `torchrun`, all of its
    processes make the same call and train one run after another together; the first one writes and
    shows progress.

    Args:
        specs: the runs, the most urgent first.
        store: where they are kept.
        data_dir: the folder of datasets; see `wider.data.load`.
        device: "cpu" or "cuda".
        precision: of products; see `execute`.
        jobs: worker processes; where there is more than one, each computes on one thread. One under
            `torchrun`.
        console: where progress goes; standard error by default.

    Returns:
        The finished runs, in the order of `specs`.

    Raises:
        InputError: the data, a net or the device do not exist.
    """
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; use at least 1 worker process")
    usable_device(device)
    with joined_processes(device) as processes:
        if jobs > 1 and processes.count > 1:
            raise InputError(
                f"jobs is {jobs}, but torchrun's {processes.count} processes train each run "
                "together: use 1, or leave torchrun out"
            )
        console = console or Console(stderr=True)
        wanted = _unique(specs)
        # The first process's answers: another command may finish a run at any moment.
        is_there = [processes.told_by_first(_is_finished(spec, store)) for spec in wanted]
        missing = [spec for spec, there in zip(wanted, is_there, strict=True) if not there]
        present = sum(is_there)
        if missing:
            shown = console if processes.is_first else Console(stderr=True, quiet=True)
            arguments = _Arguments(store.path, data_dir, device, precision, processes, os.getpid())
            costs = _costs(missing, data_dir, shown)
            with Progress(costs, store, console=shown, present=present) as progress:
                elsewhere = _train(missing, arguments, jobs, progress, wait=False)
                # Other commands may have finished these by now; what they left is trained here.
                _train(elsewhere, arguments, jobs, progress, wait=True)
    runs = {spec.key: store.read(spec) for spec in _unique(specs)}
    return [run for spec in specs if (run := runs[spec.key])]


@dataclass(frozen=True)
class _Arguments:
    """What every worker needs, small enough to send."""

    store_path: Path
    data_dir: Path | None
    device: str
    precision: Precision
    processes: Processes
    first_process: int


@dataclass(frozen=True)
class _Outcome:
    spec: RunSpec
    run: Run | None  # None: another process is training it
    messages: tuple[str, ...]


def _train(
    specs: Sequence[RunSpec], arguments: _Arguments, jobs: int, progress: Progress, *, wait: bool
) -> list[RunSpec]:
    """Trains specs and returns those that another process was training."""
    elsewhere = []
    # One thread each: small nets gain nothing from more, and several processes would fight.
    workers = {"backend": "loky", "inner_max_num_threads": 1} if jobs > 1 else {}
    with parallel_config(**workers):
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered")
        tasks = [
            delayed(_execute_in_worker)(together, arguments, wait)
            for together in _in_one_worker(specs, arguments.device)
        ]
        outcomes = cast(Generator[list[_Outcome]], parallel(tasks))
        try:
            for outcome in itertools.chain.from_iterable(outcomes):
                for message in outcome.messages:
                    progress.say(message)
                if outcome.run is None:
                    elsewhere.append(outcome.spec)
                else:
                    progress.finish(outcome.run)
        except BaseException:
            with warnings.catch_warnings():
                # joblib advises to want fewer results; whoever pressed Ctrl-C has no use for that.
                warnings.simplefilter("ignore", UserWarning)
                outcomes.close()
            _tidy(specs, Store(arguments.store_path))
            raise
    return elsewhere


def _in_one_worker(specs: Sequence[RunSpec], device: str) -> list[list[RunSpec]]:
    """What goes to one worker at a time: on a GPU the seeds of a net, which is compiled once."""
    if device == "cpu":
        return [[spec] for spec in specs]
    together: dict[str, list[RunSpec]] = {}
    for spec in specs:
        together.setdefault(spec.key_of_all_seeds, []).append(spec)
    return list(together.values())


def _tidy(specs: Sequence[RunSpec], store: Store) -> None:
    """Removes what workers that were killed in the middle of a write left."""
    for spec in specs:
        if any(store.folder(spec).glob(".*")):
            # Another command may be writing; a worker that is being killed is gone in a moment.
            with suppress(Timeout), store.lock(spec).acquire(timeout=SECONDS_TO_DIE):
                store.discard_unfinished_writes(spec)


def _execute_in_worker(
    specs: Sequence[RunSpec], arguments: _Arguments, wait: bool
) -> list[_Outcome]:
    if os.getpid() != arguments.first_process:
        # Ctrl-C reaches every process; the first one says so and ends the others.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return [_outcome(spec, arguments, wait) for spec in specs]


def _outcome(spec: RunSpec, arguments: _Arguments, wait: bool) -> _Outcome:
    messages: list[str] = []
    try:
        run = execute(
            spec,
            Store(arguments.store_path),
            data_dir=arguments.data_dir,
            device=arguments.device,
            precision=arguments.precision,
            processes=arguments.processes,
            on_damage=messages.append,
            wait=wait,
        )
    except Timeout:
        run = None
    return _Outcome(spec, run, tuple(messages))


def _is_finished(spec: RunSpec, store: Store) -> bool:
    try:
        return store.read(spec) is not None
    except DamagedRun:
        return False  # `execute` says so, sets it aside and trains it again


def _costs(
    specs: Sequence[RunSpec], data_dir: Path | None, console: Console
) -> dict[RunSpec, float]:
    # Loading the images here, before any worker starts, means that bad input is found at once and
    # that the workers find them decoded.
    images: dict[Preprocessing, ImageData | LargeImageData] = {}
    for spec in specs:
        if spec.data.as_loaded not in images:
            loaded = images[spec.data.as_loaded] = load_for(spec.data, data_dir=data_dir)
            for note in loaded.notes:
                line = f"{loaded.name}: {note}"
                console.print(line, highlight=False, markup=False, soft_wrap=True)
    return {spec: _cost(spec, images[spec.data.as_loaded]) for spec in specs}


def _cost(spec: RunSpec, images: ImageData | LargeImageData) -> float:
    return estimated_seconds(
        spec,
        num_images=images.num_train,
        image_shape=images.image_shape,
        num_classes=images.num_classes,
    )


def _unique(specs: Sequence[RunSpec]) -> list[RunSpec]:
    return list({spec.key: spec for spec in specs}.values())
