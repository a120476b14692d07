"""One run, from its spec to its folder."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import torch

from wider.data import ImageData, LargeImageData, Preprocessing, TrainingData, load_for, prepare
from wider.errors import InputError
from wider.runs import provenance
from wider.runs._result import Provenance
from wider.runs._spec import RunSpec
from wider.runs._store import DamagedRun, Run, Store
from wider.sparsity import connectivity, count_weights
from wider.training import Engine, Epoch, trainer_for

CHECKPOINT_SECONDS = 20.0


def execute(
    spec: RunSpec,
    store: Store,
    *,
    data_dir: Path | None = None,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_damage: Callable[[str], None] = lambda _: None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    wait: bool = True,
) -> Run:
    """Returns a run from the store, training it (or the rest of it) where it is missing.

    Another process that executes the same spec on the same store waits for the first and then
    finds the run. A damaged run is set aside and trained again.

    Args:
        spec: the run.
        store: where it is kept.
        data_dir: the folder of datasets; see `wider.data.load`.
        device: "cpu" or "cuda".
        on_epoch: called after each epoch.
        on_damage: called with a sentence for each damaged run that is set aside.
        checkpoint_seconds: an interrupted run loses at most about this much work.
        wait: whether to wait for another process that is training this run.

    Returns:
        The finished run.

    Raises:
        InputError: the data, the net or the device do not exist.
        filelock.Timeout: another process is training this run, and `wait` is False.
    """
    place = usable_device(device)
    with store.lock(spec).acquire(blocking=wait):
        store.discard_unfinished_writes(spec)
        try:
            if run := store.read(spec):
                return run
            checkpoint = store.read_checkpoint(spec)
        except DamagedRun as damage:
            on_damage(f"{damage}; moved to {store.set_aside(spec)}, running it again")
            checkpoint = None
        images, data = _prepared(spec.data, data_dir, place)
        model = spec.build(image_shape=images.image_shape, num_classes=images.num_classes)
        trainer = trainer_for(model.to(place), data, spec.recipe, seed=spec.seed)
        if checkpoint is not None:
            trainer.load_state(checkpoint)
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        _train(spec, store, trainer, on_epoch, checkpoint_seconds)
        trainer.update_model()
        measured = {
            "num_weights": count_weights(model),
            "connectivity": connectivity(model),
            "image_shape": images.image_shape,
            "num_classes": images.num_classes,
            "peak_memory": provenance.peak_memory(place),
            "provenance": _provenance_of(images, trainer, place, started),
        }
        return store.write(spec, trainer.history, model, measured)


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
    spec: RunSpec,
    store: Store,
    trainer: Engine,
    on_epoch: Callable[[Epoch], None],
    checkpoint_seconds: float,
) -> None:
    last_checkpoint = time.monotonic()
    while not trainer.finished:
        epoch = trainer.run_epoch()
        if not trainer.finished and time.monotonic() - last_checkpoint >= checkpoint_seconds:
            store.write_checkpoint(spec, trainer.state())
            last_checkpoint = time.monotonic()
        on_epoch(epoch)


# One run after another usually wants the same images; two sets of them may not fit.
@lru_cache(maxsize=1)
def _prepared(
    preprocessing: Preprocessing, data_dir: Path | None, device: torch.device
) -> tuple[ImageData | LargeImageData, TrainingData]:
    images = load_for(preprocessing, data_dir=data_dir)
    return images, prepare(images, preprocessing).to(device)


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
