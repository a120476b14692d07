"""Many runs, on several processes, with progress."""

import itertools
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from filelock import Timeout
from rich.console import Console

from wider.console import messages
from wider.data import Dataset, Preprocessing, at_hand
from wider.errors import InputError
from wider.runs._cost import estimated_seconds
from wider.runs._digests import Digests
from wider.runs._execute import execute, usable_device
from wider.runs._progress import Progress
from wider.runs._run_files import Run
from wider.runs._spec import RunSpec
from wider.runs._store import Store
from wider.training import Precision, Processes, joined_processes
from wider.workers import in_workers

TRIES = 3  # at training runs that vanish or are damaged meanwhile


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
        InputError: the data, a net or the device do not exist, or a worker was killed.
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
        console = console or messages()
        shown = console if processes.is_first else Console(stderr=True, quiet=True)
        arguments = _Arguments(store.path, data_dir, device, precision, processes)
        wanted = _unique(specs)
        found, tries = _there(wanted, store, data_dir, processes), 0
        while missing := [spec for spec in wanted if spec.key not in found]:
            if tries == TRIES:
                raise InputError(
                    f"{len(missing)} runs, such as {missing[0].title}, were trained {TRIES} times "
                    f"and are not in the store {store.path}: something removes or damages them, or "
                    "changes their data or code. Stop that and run the same command again"
                )
            _train_all(missing, store, arguments, jobs, console=shown, present=len(found))
            found, tries = _there(wanted, store, data_dir, processes), tries + 1
    return [found[spec.key] for spec in specs]


def digests_now(
    specs: Iterable[RunSpec], *, data_dir: Path | None = None
) -> dict[RunSpec, Digests]:
    """The digests of the data and the user's own code of some runs as they are now.

    Arguments as in `train_missing`.
    """
    known: dict[tuple[Preprocessing, tuple[str, ...]], Digests] = {}
    digests: dict[RunSpec, Digests] = {}
    for spec in specs:
        depends_on = (spec.data.as_loaded, tuple(spec.own_code))
        if depends_on not in known:
            known[depends_on] = Digests.now(spec, data_dir=data_dir)
        digests[spec] = known[depends_on]
    return digests


def _there(
    specs: Sequence[RunSpec], store: Store, data_dir: Path | None, processes: Processes
) -> dict[str, Run]:
    """Which runs are finished, whole, and of the data and code as they are now; by key."""
    digests = digests_now(specs, data_dir=data_dir)
    found, _ = store.survey(spec.key for spec in specs)
    for spec in specs:
        run = found.get(spec.key)
        is_there = run is not None and not run.digests.changes(digests[spec], spec)
        # The first process's answer: another command may finish a run at any moment.
        if not processes.told_by_first(is_there):
            found.pop(spec.key, None)
        elif run is None:
            found[spec.key] = cast(Run, store.read(spec))
    return found


def _train_all(
    missing: Sequence[RunSpec],
    store: Store,
    arguments: "_Arguments",
    jobs: int,
    *,
    console: Console,
    present: int,
) -> None:
    if arguments.processes.is_first:
        store.ensure_writable()  # before anything is trained
        store.discard_stale_locks()
    costs = _costs(missing, arguments.data_dir, console)
    with Progress(costs, store, console=console, present=present) as progress:
        elsewhere = _train(missing, arguments, jobs, progress, wait=False)
        if elsewhere:
            progress.say(_waiting(elsewhere, store))
        # Other commands may have finished these by now; what they left is trained here.
        _train(elsewhere, arguments, jobs, progress, wait=True)


@dataclass(frozen=True)
class _Arguments:
    """What every worker needs, small enough to send."""

    store_path: Path
    data_dir: Path | None
    device: str
    precision: Precision
    processes: Processes


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
    together = _in_one_worker(specs, arguments.device)
    try:
        with closing(in_workers(partial(_outcomes, arguments, wait), together, jobs=jobs)) as found:
            for outcome in itertools.chain.from_iterable(found):
                for message in outcome.messages:
                    progress.say(message)
                if outcome.run is None:
                    elsewhere.append(outcome.spec)
                else:
                    progress.finish(outcome.run)
    except BaseException:
        _tidy(specs, Store(arguments.store_path))
        raise
    return elsewhere


def _waiting(specs: Sequence[RunSpec], store: Store) -> str:
    """Says who trains runs that were left to others."""
    claim = store.claim(specs[0].key)
    who = "another process" if claim is None else claim.who
    others = f", and for {len(specs) - 1} more runs" if len(specs) > 1 else ""
    return f"waiting for {specs[0].title}, which {who} trains{others}"


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
            with (
                suppress(Timeout),
                store.claimed(spec, wait=False),
            ):  # unless another command writes
                store.discard_unfinished_writes(spec)


def _outcomes(arguments: _Arguments, wait: bool, specs: Sequence[RunSpec]) -> list[_Outcome]:
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


def _costs(
    specs: Sequence[RunSpec], data_dir: Path | None, console: Console
) -> dict[RunSpec, float]:
    # Loading the data here, before any worker starts, means that bad input is found at once and
    # that the workers find them decoded.
    datasets: dict[Preprocessing, Dataset] = {}
    for spec in specs:
        if spec.data.as_loaded not in datasets:
            loaded = datasets[spec.data.as_loaded] = at_hand(spec.data, data_dir=data_dir)
            for note in loaded.notes:
                line = f"{loaded.name}: {note}"
                console.print(line, highlight=False, markup=False, soft_wrap=True)
    return {spec: _cost(spec, datasets[spec.data.as_loaded]) for spec in specs}


def _cost(spec: RunSpec, dataset: Dataset) -> float:
    return estimated_seconds(spec, dataset.task, num_train=dataset.num_train)


def _unique(specs: Sequence[RunSpec]) -> list[RunSpec]:
    return list({spec.key: spec for spec in specs}.values())
