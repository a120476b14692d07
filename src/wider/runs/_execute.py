"""One run, from its spec to its folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

import torch
from filelock import Timeout
from torch import Tensor, nn

from wider.data import Dataset, Preprocessing, TrainingData, at_hand, prepare
from wider.errors import InputError
from wider.own_code import source_digest
from wider.runs import provenance
from wider.runs._arithmetic import family_weights, multiply_adds_per_example
from wider.runs._checkpoint_clock import CheckpointClock
from wider.runs._digests import Digests
from wider.runs._kernel import MeasuredDistances, kernel_distances
from wider.runs._measurements import Measured, Moment, Numbers, measured
from wider.runs._result import Provenance, RunResult, summary_of, task_fields
from wider.runs._run_files import DamagedRun, Run
from wider.runs._spec import RunSpec
from wider.runs._store import Store
from wider.sparsity import connectivity, count_weights
from wider.tasks import Task
from wider.training import ALONE, Engine, Epoch, Precision, Processes, trainer_for

CHECKPOINT_SECONDS = 20.0


def execute(
    spec: RunSpec,
    store: Store,
    *,
    data_dir: Path | None = None,
    device: str = "cpu",
    precision: Precision = "float32",
    processes: Processes = ALONE,
    executor: str = "serial",
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_damage: Callable[[str], None] = lambda _: None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    wait: bool = True,
) -> Run:
    """Returns a run from the store, training it (or the rest of it) where it is missing.

    Another process that executes the same spec on the same store waits for the first and then
    finds the run. A damaged run is set aside and trained again; so is one whose data, or whose
    user's own code, were others than they are now, under their digest, and it is moved back when
    they are those again.

    Args:
        spec: the run.
        store: where it is kept.
        data_dir: the folder of datasets; see `wider.data.load`.
        device: "cpu" or "cuda".
        precision: of products; "bfloat16" is PyTorch's autocast. Like the device it is provenance:
            a run that is there is found whatever it was trained in.
        processes: that train this run together. Each of them calls this; the first one writes, and
            all must see the store.
        executor: that runs this, for the provenance; see `train_missing`.
        on_epoch: called after each epoch.
        on_damage: called with a sentence for each damaged run that is set aside, and each whose
            data or code were others than they are now.
        checkpoint_seconds: an interrupted run loses at most about this much work, wherever in an
            epoch it was; beside it only the evaluation after an epoch, which starts again.
        wait: whether to wait for another process that is training this run.

    Returns:
        The finished run.

    Raises:
        InputError: the data, the net or the device do not exist.
        filelock.Timeout: another process is training this run, and `wait` is False.
    """
    place = usable_device(device)
    claim = claimed(spec, store, data_dir, processes=processes, say=on_damage, wait=wait)
    with claim as (run, checkpoint):
        if run is not None:
            return run
        dataset = at_hand(spec.data, data_dir=data_dir)
        digests = Digests(dataset.digest, source_digest(spec.own_code))
        data = _prepared(dataset, spec.data, place)
        model = spec.build(data.task)
        before = {**_sizes(spec, model, data.task), "kernel": _kernel(spec, model, data)}
        measured_before = _measured(spec, model, data, "before")
        speed = {
            "precision": precision,
            "processes": processes,
            "shape": spec.key_of_all_seeds,
        }
        trainer = trainer_for(model.to(place), data, spec.recipe, seed=spec.seed, **speed)
        if checkpoint is not None:
            trainer.load_state(checkpoint)
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        clock = CheckpointClock(checkpoint_seconds, processes)
        keep = partial(store.write_checkpoint, spec, digests=digests)
        _train(trainer, keep if processes.is_first else None, on_epoch, clock)
        trainer.update_model()
        found = {
            **before,
            "measured": _together(measured_before, _measured(spec, model, data, "after")),
            "peak_memory": provenance.peak_memory(place),
            "provenance": _provenance_of(
                dataset, digests, trainer, place, started=started, executor=executor
            ),
        }
        trained = Run(spec, _result_of(trainer, found), trainer.history)
        if processes.is_first:
            store.write(trained, model)
        processes.told_by_first()
        return trained if processes.is_first else cast(Run, store.read(spec))


def _result_of(trainer: Engine, found: dict[str, object]) -> RunResult:
    """The result of a run, given the fields that do not follow from its history."""
    metric = {"metric": trainer.metric.name, "higher_is_better": trainer.metric.higher_is_better}
    return RunResult.model_validate({**summary_of(trainer.history, **metric), **metric, **found})


def _sizes(spec: RunSpec, model: nn.Module, task: Task) -> dict[str, object]:
    sizes: dict[str, object] = {
        "num_weights": count_weights(model),
        "connectivity": connectivity(model),
        **task_fields(task),
    }
    if spec.model.same_uses:  # all of it follows from shapes, quickly
        return sizes
    # Whoever reads the run later may not have the code.
    sizes["multiply_adds"] = multiply_adds_per_example(spec, task)
    sizes["family_weights"] = family_weights(spec, task)
    return sizes


def _kernel(spec: RunSpec, model: nn.Module, data: TrainingData) -> MeasuredDistances | None:
    if not spec.kernel_pairs:
        return None
    return kernel_distances(model, data, num_pairs=spec.kernel_pairs, seed=spec.seed)


def _measured(
    spec: RunSpec, model: nn.Module, data: TrainingData, moment: Moment
) -> dict[str, Numbers]:
    return measured(spec.measurements, Measured(model, data, spec.recipe, spec.seed, moment))


def _together(before: dict[str, Numbers], after: dict[str, Numbers]) -> dict[str, Numbers]:
    names = dict.fromkeys([*before, *after])
    return {name: {**before.get(name, {}), **after.get(name, {})} for name in names}


@contextmanager
def claimed(
    spec: RunSpec,
    store: Store,
    data_dir: Path | None,
    *,
    processes: Processes = ALONE,
    say: Callable[[str], None],
    wait: bool,
) -> Iterator[tuple[Run | None, dict[str, Tensor] | None]]:
    """Keeps other commands off a run; gives the run where it is there, and its checkpoint.

    Arguments as in `execute`.

    Raises:
        filelock.Timeout: another process is training this run, and `wait` is False.
    """
    if not processes.is_first:
        if not processes.told_by_first():
            raise Timeout(store.lock(spec).lock_file)
        yield store.read(spec), store.read_checkpoint(spec)
        return
    store.ensure_writable()
    with ExitStack() as claims:
        try:
            claims.enter_context(store.claimed(spec, wait=wait))
        except Timeout:
            processes.told_by_first(False)
            raise
        store.discard_unfinished_writes(spec)
        found = _found(spec, store, Digests.now(spec, data_dir=data_dir), say)
        processes.told_by_first(True)
        yield found


def _found(
    spec: RunSpec, store: Store, now: Digests, say: Callable[[str], None]
) -> tuple[Run | None, dict[str, Tensor] | None]:
    """The run and its checkpoint, after what cannot be gone on from was set aside.

    Args:
        spec: the run.
        store: where it is kept.
        now: of its data and code as they are now.
        say: called with a sentence for each run that is moved.
    """
    try:
        run = store.read(spec)
        checkpoint = None if run else store.read_checkpoint(spec)
    except DamagedRun as damage:
        say(f"{damage}; moved to {store.set_aside(spec)}, running it again")
        run, checkpoint = None, None
    before = run.digests if run is not None else store.digests_of_checkpoint(spec)
    if before is not None and (changes := before.changes(now, spec)):
        aside = store.set_aside(spec, digests=before)
        say(f"{spec.title}: {' and '.join(changes)}; moved to {aside}, running it again")
        run, checkpoint = None, None
    if run is not None or checkpoint is not None or now.data is None:
        return run, checkpoint
    aside = store.restore(spec, digests=now)
    if aside is None:
        return None, None
    say(f"{spec.title}: moved back from {aside}, where data and code were those of now")
    return _found(spec, store, now, say)


def usable_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: it is neither "cpu" nor "cuda", or there is no GPU.
    """
    if name not in {"cpu", "cuda"}:
        raise InputError(f"unknown device {name!r}; use 'cpu' or 'cuda'")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device 'cuda' needs a GPU that PyTorch can use, and there is none: use 'cpu'"
        )
    return torch.device(name)


def _train(
    trainer: Engine,
    keep: Callable[[dict[str, Tensor]], None] | None,
    on_epoch: Callable[[Epoch], None],
    clock: CheckpointClock,
) -> None:
    def keep_if_due(ahead: float = 0.0) -> None:
        if clock.is_due(ahead):
            state = trainer.state()  # of all processes
            if keep is not None:
                keep(state)
            clock.restart()

    while not trainer.finished:
        epoch = trainer.run_epoch(keep_if_due)
        if not trainer.finished:
            keep_if_due()
        on_epoch(epoch)


# One run after another usually wants the same data; two sets of them may not fit.
@lru_cache(maxsize=1)
def _prepared(dataset: Dataset, preprocessing: Preprocessing, device: torch.device) -> TrainingData:
    return prepare(dataset, preprocessing).to(device)


def _provenance_of(
    dataset: Dataset,
    digests: Digests,
    trainer: Engine,
    device: torch.device,
    *,
    started: str,
    executor: str,
) -> Provenance:
    return Provenance(
        started=started,
        commit=provenance.commit(),
        versions=provenance.versions(),
        machine=provenance.machine(device),
        engine=trainer.name,
        device=device.type,
        threads=torch.get_num_threads(),
        data_digest=dataset.digest,
        data_encoding=dataset.encoding,
        code_digest=digests.code,
        executor=executor,
    )
