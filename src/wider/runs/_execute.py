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

from wider.data import (
    ImageData,
    LargeImageData,
    Preprocessing,
    TrainingData,
    at_hand,
    digest_at_hand,
    prepare,
)
from wider.errors import InputError
from wider.runs import provenance
from wider.runs._checkpoint_clock import CheckpointClock
from wider.runs._kernel import KernelDistances, kernel_distances
from wider.runs._result import Provenance
from wider.runs._run_files import DamagedRun, Run
from wider.runs._spec import RunSpec
from wider.runs._store import DIGITS_SHOWN, Store
from wider.sparsity import connectivity, count_weights
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
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_damage: Callable[[str], None] = lambda _: None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    wait: bool = True,
) -> Run:
    """Returns a run from the store, training it (or the rest of it) where it is missing.

    Another process that executes the same spec on the same store waits for the first and then
    finds the run. A damaged run is set aside and trained again; so is one whose images were others
    than they are now, under their digest, and it is moved back when they are those again.

    Args:
        spec: the run.
        store: where it is kept.
        data_dir: the folder of datasets; see `wider.data.load`.
        device: "cpu" or "cuda".
        precision: of products; "bfloat16" is PyTorch's autocast. Like the device it is provenance:
            a run that is there is found whatever it was trained in.
        processes: that train this run together. Each of them calls this; the first one writes, and
            all must see the store.
        on_epoch: called after each epoch.
        on_damage: called with a sentence for each damaged run that is set aside, and each whose
            images were others than they are now.
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
    claimed = _claimed(spec, store, data_dir, processes=processes, say=on_damage, wait=wait)
    with claimed as (run, checkpoint):
        if run is not None:
            return run
        images = at_hand(spec.data, data_dir=data_dir)
        data = _prepared(images, spec.data, place)
        model = spec.build(image_shape=images.image_shape, num_classes=images.num_classes)
        kernel = _kernel(spec, model, data)
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
        keep = partial(store.write_checkpoint, spec, data_digest=images.digest)
        _train(trainer, keep if processes.is_first else None, on_epoch, clock)
        trainer.update_model()
        measured = {
            **_sizes(model, images),
            "peak_memory": provenance.peak_memory(place),
            "provenance": _provenance_of(images, trainer, place, started),
            "kernel": kernel,
        }
        first = processes.is_first
        written = store.write(spec, trainer.history, model, measured) if first else None
        processes.told_by_first()
        return written or cast(Run, store.read(spec))


def _sizes(model: nn.Module, images: ImageData | LargeImageData) -> dict[str, object]:
    return {
        "num_weights": count_weights(model),
        "connectivity": connectivity(model),
        "image_shape": images.image_shape,
        "num_classes": images.num_classes,
    }


def _kernel(spec: RunSpec, model: nn.Module, data: TrainingData) -> KernelDistances | None:
    if not spec.kernel_pairs:
        return None
    return kernel_distances(model, data, num_pairs=spec.kernel_pairs, seed=spec.seed)


@contextmanager
def _claimed(
    spec: RunSpec,
    store: Store,
    data_dir: Path | None,
    *,
    processes: Processes,
    say: Callable[[str], None],
    wait: bool,
) -> Iterator[tuple[Run | None, dict[str, Tensor] | None]]:
    """Keeps other commands off a run; gives the run where it is there, and its checkpoint."""
    if not processes.is_first:
        if not processes.told_by_first():
            raise Timeout(store.lock(spec).lock_file)
        yield store.read(spec), store.read_checkpoint(spec)
        return
    store.ensure_writable()
    with ExitStack() as claimed:
        try:
            claimed.enter_context(store.claimed(spec, wait=wait))
        except Timeout:
            processes.told_by_first(False)
            raise
        store.discard_unfinished_writes(spec)
        digest = digest_at_hand(spec.data, data_dir=data_dir)
        found = _found(spec, store, digest, say)
        processes.told_by_first(True)
        yield found


def _found(
    spec: RunSpec, store: Store, digest: str | None, say: Callable[[str], None]
) -> tuple[Run | None, dict[str, Tensor] | None]:
    """The run and its checkpoint, after what cannot be gone on from was set aside.

    Args:
        spec: the run.
        store: where it is kept.
        digest: of its images as they are now; None where they are not at hand.
        say: called with a sentence for each run that is moved.
    """
    try:
        run = store.read(spec)
        checkpoint = None if run else store.read_checkpoint(spec)
    except DamagedRun as damage:
        say(f"{damage}; moved to {store.set_aside(spec)}, running it again")
        run, checkpoint = None, None
    if run is not None:
        before = run.result.provenance.data_digest
    else:
        before = store.data_digest_of_checkpoint(spec)
    if digest is not None and before is not None and before != digest:
        aside = store.set_aside(spec, data_digest=before)
        say(
            f"{spec.title}: its images were others (digest {before[:DIGITS_SHOWN]}) than those of "
            f"{spec.data.dataset} now ({digest[:DIGITS_SHOWN]}); moved to {aside}, running it again"
        )
        run, checkpoint = None, None
    if run is not None or checkpoint is not None or digest is None:
        return run, checkpoint
    aside = store.restore(spec, data_digest=digest)
    if aside is None:
        return None, None
    say(f"{spec.title}: moved back from {aside}, where the images were those of now")
    return _found(spec, store, digest, say)


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


# One run after another usually wants the same images; two sets of them may not fit.
@lru_cache(maxsize=1)
def _prepared(
    images: ImageData | LargeImageData, preprocessing: Preprocessing, device: torch.device
) -> TrainingData:
    return prepare(images, preprocessing).to(device)


def _provenance_of(
    images: ImageData | LargeImageData, trainer: Engine, device: torch.device, started: str
) -> Provenance:
    return Provenance(
        started=started,
        commit=provenance.commit(),
        versions=provenance.versions(),
        machine=provenance.machine(device),
        engine=trainer.name,
        device=device.type,
        threads=torch.get_num_threads(),
        data_digest=images.digest,
        data_encoding=images.encoding,
    )
