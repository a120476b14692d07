"""Many runs, by an executor, with progress."""

from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

from filelock import Timeout
from rich.console import Console

from wider.console import messages
from wider.data import Dataset, Preprocessing, at_hand
from wider.errors import InputError
from wider.executors import EXECUTORS, Executor, default_executor
from wider.runs._cost import estimated_seconds
from wider.runs._digests import Digests
from wider.runs._dispatch import Conditions, outcomes
from wider.runs._execute import usable_device
from wider.runs._progress import Progress
from wider.runs._run_files import Run
from wider.runs._spec import RunSpec
from wider.runs._store import Store
from wider.training import Precision, joined_processes

TRIES = 3  # at training runs that vanish or are damaged meanwhile


def train_missing(
    specs: Sequence[RunSpec],
    store: Store,
    *,
    data_dir: Path | None = None,
    device: str = "cpu",
    precision: Precision = "float32",
    jobs: int = 1,
    executor: str | None = None,
    address: str | None = None,
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
        jobs: runs at a time; where it is not this process that trains them, each has one thread.
            One under `torchrun`.
        executor: that runs them: "serial" (in this process), "processes" (of this machine), "ray",
            "slurm", or one of your own. By default processes where there are several jobs.
        address: of the cluster, where the executor has one: HOST:PORT of Ray, without which a Ray
            is started here; a partition of SLURM.
        console: where progress goes; standard error by default.

    Returns:
        The finished runs, in the order of `specs`.

    Raises:
        InputError: the data, a net or the device do not exist, a worker was killed, or the executor
            is not to be had.
    """
    name = executor or default_executor(jobs)
    runner = EXECUTORS.find(name)(
        jobs=jobs, address=address, needs_gpu=device == "cuda", folder=store.path
    )
    if runner.is_here:
        usable_device(device)
    with joined_processes(device) as processes:
        if name != "serial" and processes.count > 1:
            raise InputError(
                f"the executor is {name!r} and jobs is {jobs}, but torchrun's {processes.count} "
                "processes train each run together: use 'serial' and 1, or leave torchrun out"
            )
        console = console or messages()
        shown = console if processes.is_first else Console(stderr=True, quiet=True)
        conditions = Conditions(data_dir, device, precision, processes, name)
        found = _until_there(_unique(specs), store, conditions, runner, shown)
    return [found[spec.key] for spec in specs]


def _until_there(
    specs: Sequence[RunSpec],
    store: Store,
    conditions: Conditions,
    executor: Executor,
    console: Console,
) -> dict[str, Run]:
    """Trains what is missing, and what vanishes meanwhile, until all is there; by key."""
    found, tries = _there(specs, store, conditions), 0
    while missing := [spec for spec in specs if spec.key not in found]:
        if tries == TRIES:
            raise InputError(
                f"{len(missing)} runs, such as {missing[0].title}, were trained {TRIES} times and "
                f"are not in the store {store.path}: something removes or damages them, or changes "
                "their data or code. Stop that and run the same command again"
            )
        _train_all(missing, store, conditions, executor, console=console, present=len(found))
        found, tries = _there(specs, store, conditions), tries + 1
    return found


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


def _there(specs: Sequence[RunSpec], store: Store, conditions: Conditions) -> dict[str, Run]:
    """Which runs are finished, whole, and of the data and code as they are now; by key."""
    digests = digests_now(specs, data_dir=conditions.data_dir)
    found, _ = store.survey(spec.key for spec in specs)
    for spec in specs:
        run = found.get(spec.key)
        is_there = run is not None and not run.digests.changes(digests[spec], spec)
        # The first process's answer: another command may finish a run at any moment.
        if not conditions.processes.told_by_first(is_there):
            found.pop(spec.key, None)
        elif run is None:
            found[spec.key] = cast(Run, store.read(spec))
    return found


def _train_all(
    missing: Sequence[RunSpec],
    store: Store,
    conditions: Conditions,
    executor: Executor,
    *,
    console: Console,
    present: int,
) -> None:
    if conditions.processes.is_first:
        store.ensure_writable()  # before anything is trained
        store.discard_leftovers()
    costs = _costs(missing, conditions.data_dir, console)
    with Progress(costs, store, console=console, present=present) as progress:
        while missing := _train(missing, store, conditions, executor, progress):
            progress.say(_waiting(missing, store))
            if conditions.processes.is_first:
                with store.claimed(missing[0], wait=True):
                    pass  # what others leave of these is trained here


def _train(
    specs: Sequence[RunSpec],
    store: Store,
    conditions: Conditions,
    executor: Executor,
    progress: Progress,
) -> list[RunSpec]:
    """Trains specs and returns those that another process was training."""
    elsewhere = []
    try:
        with closing(outcomes(specs, store, conditions, executor)) as found:
            for outcome in found:
                for message in outcome.messages:
                    progress.say(message)
                if outcome.run is None:
                    elsewhere.append(outcome.spec)
                else:
                    progress.finish(outcome.run)
    except BaseException:
        _tidy(specs, store)
        raise
    return elsewhere


def _waiting(specs: Sequence[RunSpec], store: Store) -> str:
    """Says who trains runs that were left to others."""
    claim = store.claim(specs[0].key)
    who = "another process" if claim is None else claim.who
    others = f", and for {len(specs) - 1} more runs" if len(specs) > 1 else ""
    return f"waiting for {specs[0].title}, which {who} trains{others}"


def _tidy(specs: Sequence[RunSpec], store: Store) -> None:
    """Removes what workers that were killed in the middle of a write left."""
    for spec in specs:
        if any(store.folder(spec).glob(".*")):
            with (
                suppress(Timeout),
                store.claimed(spec, wait=False),
            ):  # unless another command writes
                store.discard_unfinished_writes(spec)


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
