"""Runs by an executor: in the store itself, or on machines that do not see it, as files."""

import platform
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import Timeout

from wider.errors import InputError
from wider.executors import Executor
from wider.files import write_whole
from wider.own_code import look_in, source_files
from wider.runs._digests import Digests, code_now
from wider.runs._execute import claimed, execute
from wider.runs._run_files import Run
from wider.runs._spec import RunSpec
from wider.runs._store import Store
from wider.training import Precision, Processes


@dataclass(frozen=True)
class Conditions:
    """Of training, for all runs of a call; see `train_missing`. Small enough to send.

    Attributes:
        executor: its name, for the provenance.
    """

    data_dir: Path | None
    device: str
    precision: Precision
    processes: Processes
    executor: str


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        spec: of the run.
        run: None where another process is training it.
        messages: for the user.
    """

    spec: RunSpec
    run: Run | None
    messages: tuple[str, ...]


def outcomes(
    specs: Sequence[RunSpec], store: Store, conditions: Conditions, executor: Executor
) -> Generator[Outcome, None, None]:
    """Trains runs, but for those that other processes are training.

    Args:
        specs: the runs, the most urgent first.
        store: where they are kept.
        conditions: the same for all.
        executor: that runs them.

    Yields:
        What became of each, as they come.
    """
    way = _in_the_store if executor.shares_disk else _apart
    yield from way(specs, store, conditions, executor)


def _in_the_store(
    specs: Sequence[RunSpec], store: Store, conditions: Conditions, executor: Executor
) -> Generator[Outcome, None, None]:
    together = _in_one_worker(specs, conditions.device)
    trained = executor.map(partial(_all_trained, store.path, conditions), together)
    with closing(trained):
        yield from chain.from_iterable(trained)


def _in_one_worker(specs: Sequence[RunSpec], device: str) -> list[list[RunSpec]]:
    """What goes to one worker at a time: on a GPU the seeds of a net, which is compiled once."""
    if device == "cpu":
        return [[spec] for spec in specs]
    together: dict[str, list[RunSpec]] = {}
    for spec in specs:
        together.setdefault(spec.key_of_all_seeds, []).append(spec)
    return list(together.values())


def _all_trained(
    store_path: Path, conditions: Conditions, specs: Sequence[RunSpec]
) -> list[Outcome]:
    return [_trained(spec, Store(store_path), conditions) for spec in specs]


def _trained(spec: RunSpec, store: Store, conditions: Conditions) -> Outcome:
    messages: list[str] = []
    try:
        run = execute(
            spec,
            store,
            data_dir=conditions.data_dir,
            device=conditions.device,
            precision=conditions.precision,
            processes=conditions.processes,
            executor=conditions.executor,
            on_damage=messages.append,
            wait=False,
        )
    except Timeout:
        run = None
    return Outcome(spec, run, tuple(messages))


@dataclass(frozen=True)
class _Sent:
    """A run on its way to a machine that does not see the store.

    Attributes:
        spec: of the run.
        files: what an interrupted call left of it.
        digests: of its data and code, which are to be the same there.
        code: source of the user's own, by file.
    """

    spec: RunSpec
    files: Mapping[str, bytes]
    digests: Digests
    code: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class _Back:
    """The same run, trained: its files, and what is to be said of it."""

    spec: RunSpec
    files: Mapping[str, bytes]
    messages: tuple[str, ...]


def _apart(
    specs: Sequence[RunSpec], store: Store, conditions: Conditions, executor: Executor
) -> Generator[Outcome, None, None]:
    """One run a task, so that none waits for another before it is safe in the store."""
    known: list[Outcome] = []  # of runs that need not be sent
    away: dict[RunSpec, tuple[ExitStack, list[str]]] = {}  # their claims, what is to be said
    there = conditions
    if conditions.data_dir is not None and not executor.is_here:
        there = replace(conditions, data_dir=conditions.data_dir.absolute())
    with ExitStack() as claims:

        def to_send() -> Iterator[_Sent]:
            for spec in specs:
                claim, messages = claims.enter_context(ExitStack()), []
                keywords = {"say": messages.append, "wait": False}
                try:
                    wanted = claimed(spec, store, conditions.data_dir, **keywords)
                    run, _ = claim.enter_context(wanted)
                except Timeout:
                    known.append(Outcome(spec, None, ()))
                    continue
                if run is not None:
                    claim.close()
                    known.append(Outcome(spec, run, tuple(messages)))
                    continue
                away[spec] = claim, messages
                digests = Digests.now(spec, data_dir=conditions.data_dir)
                code = tuple(source_files(spec.own_code).items())
                yield _Sent(spec, store.files(spec), digests, code)

        trained = executor.map(partial(_trained_there, there), to_send())
        with closing(trained):
            for back in trained:
                claim, messages = away.pop(back.spec)
                store.write_files(back.spec, back.files)
                run = store.read(back.spec)
                claim.close()
                yield Outcome(back.spec, run, (*messages, *back.messages))
                while known:
                    yield known.pop()
        yield from known


def _trained_there(conditions: Conditions, sent: _Sent) -> _Back:
    try:
        _check_same(sent, conditions.data_dir)
        with TemporaryDirectory(prefix="wider-") as folder:
            store = Store(Path(folder))
            store.write_files(sent.spec, sent.files)
            outcome = _trained(sent.spec, store, conditions)
            return _Back(sent.spec, store.files(sent.spec), outcome.messages)
    except InputError as error:
        raise InputError(*(f"on {platform.node()}: {line}" for line in error.args)) from error


def _check_same(sent: _Sent, data_dir: Path | None) -> None:
    """Makes sure that data and code are those of the machine that sent a run."""
    spec = sent.spec
    if code_now(spec) != sent.digests.code:
        look_in(Path(_unpacked(sent.code).name))
    now = Digests.now(spec, data_dir=data_dir)
    if now.code != sent.digests.code:
        raise InputError(
            f"the code of {', '.join(spec.own_code)} is another than where this was started: "
            "remove it here, or bring it up to date"
        )
    if None not in (now.data, sent.digests.data) and now.data != sent.digests.data:
        raise InputError(
            f"the data of {spec.data.dataset} are others than where this was started: copy the "
            "same files to every node"
        )


@cache
def _unpacked(code: tuple[tuple[str, bytes], ...]) -> "TemporaryDirectory[str]":
    """Where the user's code is, as long as this process lives."""
    folder = TemporaryDirectory(prefix="wider-code-")
    for name, content in code:
        write_whole(Path(folder.name) / name, content)
    return folder
