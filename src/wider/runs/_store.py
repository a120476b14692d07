"""A folder of runs. Every file appears whole or not at all."""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import safetensors.torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from wider.errors import InputError
from wider.files import make_folder, read_whole, remove_partials, write_whole
from wider.runs import _run_files as run_files
from wider.runs._claims import Claim, claim_in, held, is_held
from wider.runs._digests import Digests
from wider.runs._index import Index, signature
from wider.runs._run_files import DamagedRun, Run, run_as_text, run_from_text
from wider.runs._spec import SCHEMA_VERSION, RunSpec

DESCRIPTION, LOCKS, ASIDE, INDEX = "store.json", "locks", "set-aside", "index.sqlite"
RUN = "run"  # what the index keeps of each
LOCK = ".lock"  # how the names of lock files end
KEY = re.compile(r"[0-9a-f]{64}")


class Store:
    """Runs on disk, one folder per key.

    A run's folder holds `spec.json`; while it trains, `checkpoint.safetensors`; when it is done,
    `history.parquet`, `model.safetensors` and, written last, `result.json` with the digests of the
    others. So a kill at any moment leaves a finished run, a resumable one, or nothing. The digests
    are against accidents: who forges a run can forge them, too.

    To read a store writes nothing but the cache `index.sqlite`, where that can be written.

    Args:
        path: the folder; made with the first run.

    Raises:
        InputError: it is no folder, or a newer version of wider wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._index = Index(self.path / INDEX)
        if os.path.lexists(self.path / DESCRIPTION):
            self._check_description()
        else:
            above = (self.path, *self.path.absolute().parents)
            nearest = next(path for path in above if os.path.lexists(path))
            if not nearest.is_dir():
                raise self._unusable(f"{nearest} is no folder")

    def ensure_writable(self) -> None:
        """Makes the store where it is missing, and does nothing where runs can be added.

        Raises:
            InputError: it cannot be written.
        """
        description = self.path / DESCRIPTION
        try:
            make_folder(self._own_folder(LOCKS))
            if not os.access(self.path, os.W_OK):
                raise self._unusable("nothing may be written there")
            if not description.exists():
                with held(FileLock(self._lock_file("store")), wait=True):
                    remove_partials(self.path, {DESCRIPTION})
                    if not description.exists():
                        content = run_files.json_bytes({"schema_version": SCHEMA_VERSION})
                        write_whole(description, content)
        except OSError as error:
            raise self._unusable(str(error.strerror)) from error

    def folder(self, spec: RunSpec) -> Path:
        """Where a run is kept."""
        return self.path / spec.key

    def lock(self, spec: RunSpec) -> FileLock:
        """Held while a run trains; the system frees it when the process dies, however it dies."""
        return FileLock(self._lock_file(spec.key))

    def claimed(self, spec: RunSpec, *, wait: bool) -> AbstractContextManager[None]:
        """Keeps other processes off a run, and tells them who trains it; see `claim`.

        Args:
            spec: the run.
            wait: whether to wait for a process that has it.

        Raises:
            filelock.Timeout: another process has it, and `wait` is False.
        """
        claim = Claim.now(spec.title, spec.recipe.num_rounds, self.epochs_done(spec))
        return held(self.lock(spec), wait=wait, claim=claim)

    def claim(self, key: str) -> Claim | None:
        """Who trains a run, or was training it when it was killed; see `is_claimed`."""
        return claim_in(self._lock_file(key))

    def is_claimed(self, key: str) -> bool:
        """Whether a process is training a run at this moment."""
        return is_held(self._lock_file(key))

    def discard_leftovers(self) -> None:
        """Removes what killed processes left of runs that they had finished: locks, checkpoints."""
        for key in self.keys_of_claims():
            folder = self.path / key
            if (folder / run_files.RESULT).exists():
                with (
                    suppress(Timeout),
                    held(FileLock(self._lock_file(key)), wait=False),  # and removed
                    suppress(DamagedRun, OSError),  # what is no checkpoint of ours stays
                ):
                    run_files.discard_checkpoint(folder)

    def discard_unfinished_writes(self, spec: RunSpec) -> None:
        """Removes what a process that was killed in the middle of a write left of a file."""
        remove_partials(self.folder(spec), run_files.EVERY_NAME)

    def read(self, spec: RunSpec) -> Run | None:
        """A finished run, or None where there is none.

        Raises:
            DamagedRun: a file of it is torn, edited or missing.
        """
        return run_files.read_run(self.folder(spec), spec.key)

    def runs(self, on_damage: Callable[[str], None] = lambda _: None) -> list[Run]:
        """All finished runs, by key.

        Args:
            on_damage: called with a sentence for each damaged run, which is left out.
        """
        found, damaged = self.survey(self.keys())
        self._tell(damaged, on_damage)
        return [found[key] for key in sorted(found)]

    def keys(self) -> list[str]:
        """Of all runs that have a folder, whatever is in it."""
        return [name for name in _names(self.path) if KEY.fullmatch(name)]

    def keys_of_claims(self) -> list[str]:
        """Of all runs that a process trains, or was training when it was killed."""
        names = (name.removesuffix(LOCK) for name in _names(self.path / LOCKS))
        return [name for name in names if KEY.fullmatch(name)]

    def strangers(self) -> list[Path]:
        """Folders with a result that are not named as a run's."""
        others = [
            self.path / name
            for name in _names(self.path)
            if not KEY.fullmatch(name) and name not in (LOCKS, ASIDE)
        ]
        return [path for path in others if os.path.lexists(path / run_files.RESULT)]

    def survey(self, keys: Iterable[str]) -> tuple[dict[str, Run], dict[str, str]]:
        """Of some runs those that are finished and whole, and what is wrong with the damaged ones.

        A run that was read before, and whose files have not been touched since, is not read again.

        Args:
            keys: of the runs; those that are not finished, or not there, are in neither answer.
        """
        keys = list(keys)
        signatures = self._signatures(keys)
        runs: dict[str, Run] = {}
        for key, text in self._index.read(RUN, signatures).items():
            with suppress(ValueError):  # written by another version: it is read anew
                runs[key] = run_from_text(text)
        new: dict[str, Run] = {}
        damaged: dict[str, str] = {}
        for key in keys:
            if key in runs:
                continue
            try:
                run = run_files.read_run(self.path / key, key)
            except (DamagedRun, OSError) as damage:
                damaged[key] = str(damage)
            else:
                if run is not None:
                    new[key] = run
        texts = {key: run_as_text(run) for key, run in new.items()}
        self._index.write(RUN, texts, signatures)
        return runs | new, damaged

    def rows(
        self,
        row_of: Callable[[Run], dict[str, object]],
        *,
        version: int,
        say: Callable[[str], None] = lambda _: None,
    ) -> list[dict[str, object]]:
        """What a function says of each finished run, by key; it is asked once for each.

        Args:
            row_of: what JSON can hold of a run, by name.
            version: another one where it says something else.
            say: called with a sentence for each damaged run, which is left out.
        """
        signatures, kind = self._signatures(self.keys()), f"row {version}"
        known = self._index.read(kind, signatures)
        found, damaged = self.survey(key for key in self.keys() if key not in known)
        self._tell(damaged, say)
        texts = {key: json.dumps(row_of(run)) for key, run in found.items()}
        self._index.write(kind, texts, signatures)
        every = known | texts
        return [json.loads(every[key]) for key in sorted(every)]

    def write(self, run: Run, model: nn.Module) -> None:
        """Adds a finished run.

        Args:
            run: what was asked for, and what came out.
            model: as it is after the last epoch.
        """
        run_files.write_run(self.folder(run.spec), run, model)

    def files(self, spec: RunSpec) -> dict[str, bytes]:
        """What is there of a run, finished or not, to be sent to another store.

        Raises:
            DamagedRun: a file of it is no file.
        """
        return run_files.files_of(self.folder(spec))

    def write_files(self, spec: RunSpec, contents: Mapping[str, bytes]) -> None:
        """Adds what another store has of a run.

        Args:
            spec: the run.
            contents: from `files`.
        """
        run_files.write_files(self.folder(spec), contents)

    def load_model(self, run: Run) -> nn.Module:
        """The trained net of a finished run, on the CPU."""
        model = run.spec.build(run.result.task)
        content = read_whole(self.folder(run.spec) / run_files.MODEL)
        model.load_state_dict(safetensors.torch.load(content))
        return model

    def write_checkpoint(
        self, spec: RunSpec, state: Mapping[str, Tensor], *, digests: Digests
    ) -> None:
        """Keeps what an interrupted run goes on from.

        Args:
            spec: the run.
            state: of its engine.
            digests: of what it is trained on.
        """
        run_files.write_checkpoint(self.folder(spec), spec, state, digests)

    def read_checkpoint(self, spec: RunSpec) -> dict[str, Tensor] | None:
        """What `write_checkpoint` kept, or None.

        Raises:
            DamagedRun: the file is torn or edited.
        """
        return run_files.read_checkpoint(self.folder(spec), spec.key)

    def epochs_done(self, spec: RunSpec) -> float:
        """How many epochs of a run are behind us: all of a finished one, else the checkpoint's.

        An epoch that has begun counts by the share of its examples.

        Reads the head of the file only, so that progress can be watched while others write it.
        """
        if (self.folder(spec) / run_files.RESULT).exists():
            return spec.recipe.num_rounds
        return run_files.epochs_in_checkpoint(self.folder(spec))

    def digests_of_checkpoint(self, spec: RunSpec) -> Digests | None:
        """Of what an interrupted run was trained on.

        None where there is no checkpoint, or one of an earlier version of wider.
        """
        return run_files.digests_in_checkpoint(self.folder(spec))

    def set_aside_runs(self) -> list[Path]:
        """Folders of runs that were moved out of the way; see `set_aside`."""
        return [self.path / ASIDE / name for name in _names(self.path / ASIDE)]

    def set_aside(self, spec: RunSpec, *, digests: Digests | None = None) -> Path:
        """Moves a run out of the way, for its owner to look at; returns where to.

        Args:
            spec: the run.
            digests: of what it was trained on, where these are why: `restore` finds it again.
        """
        name = f"{spec.key}-{digests.name}" if digests else spec.key
        aside, number = self._own_folder(ASIDE), 0
        target = aside / name
        while os.path.lexists(target) or target.name == spec.key:
            number += 1
            target = aside / f"{name}-{number}"
        make_folder(aside)
        return self.folder(spec).rename(target)

    def restore(self, spec: RunSpec, *, digests: Digests) -> Path | None:
        """Moves a run back that was set aside since data or code were others; returns from where.

        None where there is none. There must be no other finished or resumable run of this spec.
        """
        source = self._own_folder(ASIDE) / f"{spec.key}-{digests.name}"
        if not source.is_dir() or source.is_symlink():
            return None
        if os.path.lexists(self.folder(spec)):
            self.set_aside(spec)  # what a kill before the first checkpoint left
        source.rename(self.folder(spec))
        return source

    def _signatures(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: found for key in keys if (found := signature(self.path / key))}

    def _tell(self, damaged: Mapping[str, str], say: Callable[[str], None]) -> None:
        for path in self.strangers():
            say(f"{path} is left out: it holds a run and is not named after it")
        for key, reason in damaged.items():
            say(f"{self.path / key} is damaged and left out: {reason}")

    def _own_folder(self, name: str) -> Path:
        """A folder of the store's own, which no link may lead out of it."""
        if (self.path / name).is_symlink():
            raise self._unusable(f"{self.path / name} is a link")
        return self.path / name

    def _lock_file(self, key: str) -> Path:
        return self.path / LOCKS / f"{key}{LOCK}"

    def _check_description(self) -> None:
        path = self.path / DESCRIPTION
        try:
            found = json.loads(read_whole(path))["schema_version"]
        except OSError as error:
            raise self._unusable(str(error.strerror)) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{str(path)!r} is not the description of a store: choose another folder with "
                "--store, or remove that file if the folder is one"
            ) from error
        if found != SCHEMA_VERSION:
            raise InputError(
                f"the store {str(self.path)!r} has schema version {found!r}, this wider reads "
                f"{SCHEMA_VERSION}: use the version of wider that wrote it, or another --store"
            )

    def _unusable(self, reason: str) -> InputError:
        return InputError(
            f"cannot use {str(self.path)!r} as a store ({reason}): choose a folder that can be "
            "written with --store"
        )


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
