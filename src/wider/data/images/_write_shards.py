"""Preparing a dataset of large images once, for any number of runs."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from rich import progress
from rich.console import Console

from wider.console import messages
from wider.data._columns import SPLITS
from wider.data._names import KNOWN, check_name
from wider.data._sources import Source, folder_source, hub_source
from wider.data.images._files import ENCODING, RULE
from wider.data.images._in_memory import overlap
from wider.data.images._preparation import (
    LargeSource,
    check_output,
    check_room,
    claim_output,
    is_finished,
    opened_large,
)
from wider.data.images._shards import (
    INDEX,
    Index,
    Plan,
    Shard,
    Skipped,
    described,
    index_digest,
    is_prepared,
    plans,
    read_index,
    write_shard,
)
from wider.errors import InputError
from wider.executors import LostWorkerError, in_workers
from wider.files import write_whole
from wider.text import shown

if TYPE_CHECKING:
    from datasets import Dataset

MARGIN = 1.1  # of disk space, over what a sample of the images lets expect
SHOWN = 10  # skipped images that are named on the screen
ONE_IN = 1000  # images of a split may be skipped, and one in any case


def write_shards(
    name: str,
    output: Path | str,
    *,
    data_dir: Path | str | None = None,
    jobs: int = 1,
    console: Console | None = None,
) -> Index:
    """Stores large images of any sizes in a form from which nets can be trained.

    Each image is brought to red, green and blue, upright, on white where it is transparent; if its
    smaller side has more than 256 pixels it is shrunk to so many. It is stored as JPEG of quality
    90, a thousand images a file. Killed at any moment, the same call goes on with the files that
    are missing; the result is the same, byte for byte, also for every number of jobs. Images that
    cannot be decoded are left out and named in the index; if there are more than one, and more than
    one in a thousand of a split, the dataset is refused.

    Args:
        name: as in `wider.data.load`; "imagenet" is ILSVRC/imagenet-1k.
        output: the folder in which a folder `name` is made; the `data_dir` for training.
        data_dir: the folder that holds the source, a folder `name` as in `wider.data.load`, with
            val or validation where there is no test; from the Hub by default.
        jobs: worker processes.
        console: where progress goes; standard error by default.

    Returns:
        What is in the folder now.

    Raises:
        InputError: the source is unfit (no train or test split, classes that differ between
            them, labels without a class, corrupt images), the folder holds something else or was
            made from another source, another process is writing it, the disk is too full, or a
            worker was killed.

    Source:
        Golubeva et al. 2021, Appendix A.1.
    """
    check_name(name)
    output = Path(output)
    source = _checked_source(name, None if data_dir is None else Path(data_dir), jobs)
    folder, hidden = output / name, f".{name.replace('/', '-')}"
    check_output(folder, source)
    scratch = output / f"{hidden}-source"
    try:
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output / f"{hidden}.lock").acquire(blocking=False), _removed(scratch):
            if is_finished(folder):
                return read_index(folder)
            return _written(name, folder, source, scratch=scratch, jobs=jobs, console=console)
    except Timeout as error:
        raise InputError(f"Another process is preparing {folder}: let it finish.") from error
    except OSError as error:
        raise InputError(
            f"The preparation of {folder} stopped: {error}. Mend that and run the same command "
            "again: it goes on where it was."
        ) from error


def _checked_source(name: str, data_dir: Path | None, jobs: int) -> Source:
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; use at least 1 worker process")
    if name in KNOWN and KNOWN[name].of_one_size:
        raise InputError(f"All images of {name} have one size: train with it as it is.")
    if data_dir is None:
        return hub_source(name)
    if is_prepared(data_dir / name):
        raise InputError(f"{data_dir / name} is prepared already: train with it as it is.")
    return folder_source(name, data_dir)


@contextmanager
def _removed(scratch: Path) -> Iterator[None]:
    """Removes a folder at the end, but not where the same command can go on with it."""
    try:
        yield
    except LostWorkerError:
        raise
    except InputError:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch, ignore_errors=True)


def _written(
    name: str, folder: Path, source: Source, *, scratch: Path, jobs: int, console: Console | None
) -> Index:
    console = console or messages()
    check_room(folder.parent, source.table_bytes - _size_of(scratch), f"to unpack {name}")
    with opened_large(name, source, scratch) as images:
        counts = {split: len(images.images[split]) for split in SPLITS}
        every = [plan for split in SPLITS for plan in plans(split, counts[split])]
        missing = [plan for plan in every if described(folder / plan.file) is None]
        num_missing = sum(plan.stop - plan.start for plan in missing)
        needed = images.stored_bytes_an_image() * num_missing * MARGIN if missing else 0
        check_room(folder, needed, f"to store {num_missing:,} images of {name}")
        claim_output(folder, source)
        _write_missing(
            missing, folder, images, location=source.location, jobs=jobs, console=console
        )
        shards, skipped, both = _contents(folder, every)
        for image in skipped[:SHOWN]:
            _say(console, f"skipped: {_named(image)}")
        try:
            _check_skipped(skipped, counts, source.location)
        except InputError:
            shutil.rmtree(folder)  # once the source is mended, nothing in there fits it
            raise
        index = Index(
            name=name,
            classes=images.classes,
            splits=shards,
            counts={split: sum(shard.count for shard in shards[split]) for split in SPLITS},
            digest=index_digest(images.classes, shards),
            encoding=ENCODING,
            rule=RULE,
            source=source.fingerprint,
            skipped=skipped,
            notes=(*images.notes, *both),
        )
        for note in index.notes:
            _say(console, f"{name}: {note}")
        write_whole(folder / INDEX, index.model_dump_json(indent=1).encode())
    return index


def _size_of(folder: Path) -> int:
    """Bytes of the files in a folder, none where there is no folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write_missing(
    missing: Sequence[Plan],
    folder: Path,
    source: LargeSource,
    *,
    location: str,
    jobs: int,
    console: Console,
) -> None:
    columns = (
        progress.TextColumn("{task.completed:,.0f} of {task.total:,.0f} images"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
    )
    tasks = (
        _Task(
            plan,
            source.images[plan.split].select(range(plan.start, plan.stop)),
            source.labels[plan.split][plan.start : plan.stop].tolist(),
        )
        for plan in missing
    )
    bar = progress.Progress(*columns, console=console, disable=not console.is_terminal)
    with bar, closing(in_workers(partial(_write, folder, location), tasks, jobs=jobs)) as counts:
        shown = bar.add_task("", total=sum(plan.stop - plan.start for plan in missing))
        for count in counts:
            bar.advance(shown, count)


@dataclass(frozen=True)
class _Task:
    """One shard to be written."""

    plan: Plan
    images: "Dataset"
    labels: Sequence[int]


def _write(folder: Path, location: str, task: _Task) -> int:
    write_shard(folder, task.plan, task.images, task.labels, location)
    return len(task.labels)


def _contents(
    folder: Path, every: Sequence[Plan]
) -> tuple[dict[str, tuple[Shard, ...]], tuple[Skipped, ...], tuple[str, ...]]:
    """The shards of each split, what was skipped, and a note of images that are in both splits."""
    shards: dict[str, list[Shard]] = {split: [] for split in SPLITS}
    skipped: list[Skipped] = []
    images: dict[str, list[str]] = {split: [] for split in SPLITS}
    for plan in every:
        found = described(folder / plan.file)
        if found is None:
            raise OSError(f"{folder / plan.file} cannot be read back")
        shards[plan.split].append(found.shard)
        skipped += found.skipped
        images[plan.split] += found.images
    both = overlap(images["train"], images["test"])
    return {split: tuple(own) for split, own in shards.items()}, tuple(skipped), both


def _check_skipped(skipped: Sequence[Skipped], counts: dict[str, int], location: str) -> None:
    for split, number in Counter(image.split for image in skipped).items():
        limit = min(max(1, counts[split] // ONE_IN), counts[split] - 1)
        if number > limit:
            bad = [image for image in skipped if image.split == split]
            named = "; ".join(map(_named, bad[:SHOWN]))
            more = f"; and {number - SHOWN} more" if number > SHOWN else ""
            raise InputError(
                f"{number} of the {counts[split]:,} images of {split} of {location} cannot be "
                f"decoded, and {limit} may be skipped (one in {ONE_IN}, or one): {named}{more}. "
                "Mend or remove them and prepare again."
            )


def _named(image: Skipped) -> str:
    return f"{image.split} image {image.row} {image.name}".strip() + f" ({image.reason})"


def _say(console: Console, message: str) -> None:
    console.print(shown(message), highlight=False, markup=False, soft_wrap=True)
