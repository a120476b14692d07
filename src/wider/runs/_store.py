"""A folder of runs. Every file appears whole or not at all."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import safetensors.torch
from filelock import FileLock
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from wider.errors import InputError
from wider.files import write_whole
from wider.runs._result import RunResult, summarise
from wider.runs._spec import SCHEMA_VERSION, RunSpec
from wider.training import History

SPEC, HISTORY, MODEL, RESULT = "spec.json", "history.parquet", "model.safetensors", "result.json"
CHECKPOINT = "checkpoint.safetensors"
DIGEST_BYTES = hashlib.sha256().digest_size


class DamagedRun(Exception):  # noqa: N818 - a state of the store that callers handle, not a bug
    """A file of a run is torn, edited or missing; the message names it."""


@dataclass(frozen=True)
class Run:
    """A finished run: what was asked for and what came out."""

    spec: RunSpec
    result: RunResult
    history: History


class Store:
    """Runs on disk, one folder per key.

    A run's folder holds `spec.json`; while it trains, `checkpoint.safetensors`; when it is done,
    `history.parquet`, `model.safetensors` and, written last, `result.json` with the digests of the
    others. So a kill at any moment leaves a finished run, a resumable one, or nothing.

    Args:
        path: the folder; made when it does not exist.

    Raises:
        InputError: it cannot be written, or a newer version of wider wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        description = self.path / "store.json"
        try:
            (self.path / "locks").mkdir(parents=True, exist_ok=True)
            if not description.exists():
                write_whole(description, _json_bytes({"schema_version": SCHEMA_VERSION}))
            found = json.loads(description.read_bytes())["schema_version"]
        except OSError as error:
            raise InputError(
                f"cannot use {str(self.path)!r} as a store ({error.strerror}): "
                "choose a folder that can be written with --store"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{str(description)!r} is not the description of a store: choose another folder "
                "with --store, or remove that file if the folder is one"
            ) from error
        if found != SCHEMA_VERSION:
            raise InputError(
                f"the store {str(self.path)!r} has schema version {found!r}, this wider reads "
                f"{SCHEMA_VERSION}: use the version of wider that wrote it, or another --store"
            )

    def folder(self, spec: RunSpec) -> Path:
        """Where a run is kept."""
        return self.path / spec.key

    def lock(self, spec: RunSpec) -> FileLock:
        """Held while a run trains; the system frees it when the process dies, however it dies."""
        return FileLock(self.path / "locks" / f"{spec.key}.lock")

    def discard_unfinished_writes(self, spec: RunSpec) -> None:
        """Removes what a process that was killed in the middle of a write left of a file."""
        for path in self.folder(spec).glob(".*"):
            path.unlink(missing_ok=True)

    def read(self, spec: RunSpec) -> Run | None:
        """A finished run, or None where there is none.

        Raises:
            DamagedRun: a file of it is torn, edited or missing.
        """
        folder = self.folder(spec)
        if not (folder / RESULT).exists():
            return None
        document = _sealed_document(folder / RESULT)
        for name, digest in document["files"].items():
            if not (folder / name).exists():
                raise DamagedRun(f"{folder / name} is missing")
            if _digest((folder / name).read_bytes()) != digest:
                raise DamagedRun(f"{folder / name} is not what was written (torn or edited)")
        try:
            result = RunResult.model_validate(document["result"])
            history = History.from_table(pd.read_parquet(folder / HISTORY))
            stored_spec = RunSpec.model_validate_json((folder / SPEC).read_bytes())
        except (ValidationError, KeyError, ValueError, OSError) as error:
            raise DamagedRun(f"{folder} does not hold a run: {error}") from error
        if stored_spec.key != spec.key:
            raise DamagedRun(f"{folder / SPEC} describes another run")
        return Run(spec, result, history)

    def runs(self, on_damage: Callable[[str], None] = lambda _: None) -> list[Run]:
        """All finished runs, by key.

        Args:
            on_damage: called with a sentence for each damaged run, which is left out.
        """
        found = []
        for path in self.path.glob(f"*/{RESULT}"):
            try:
                spec = RunSpec.model_validate_json((path.parent / SPEC).read_bytes())
                if spec.key != path.parent.name:
                    raise DamagedRun(f"{path.parent / SPEC} describes another run")
                found.append(self.read(spec))
            except (DamagedRun, ValidationError, OSError) as damage:
                on_damage(f"{path.parent} is damaged and left out: {damage}")
        return sorted((run for run in found if run), key=lambda run: run.spec.key)

    def write(
        self, spec: RunSpec, history: History, model: nn.Module, measured: dict[str, object]
    ) -> Run:
        """Adds a finished run.

        Args:
            spec: what was asked for.
            history: all of its epochs.
            model: as it is after the last one.
            measured: the fields of `RunResult` that do not follow from the history.
        """
        folder = self.folder(spec)
        table = io.BytesIO()
        history.to_table().to_parquet(table, index=False)
        contents = {
            SPEC: _spec_bytes(spec),
            HISTORY: table.getvalue(),
            MODEL: safetensors.torch.save(
                {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
            ),
        }
        for name, content in contents.items():
            write_whole(folder / name, content)
        result = RunResult.model_validate({**summarise(history), **measured})
        document = {
            "result": result.model_dump(mode="json"),
            "files": {name: _digest(content) for name, content in contents.items()},
        }
        sealed = {**document, "seal": _digest(_json_bytes(document))}
        write_whole(folder / RESULT, _json_bytes(sealed))
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return Run(spec, result, history)

    def load_model(self, run: Run) -> nn.Module:
        """The trained net of a finished run, on the CPU."""
        model = run.spec.build(
            image_shape=run.result.image_shape, num_classes=run.result.num_classes
        )
        model.load_state_dict(safetensors.torch.load_file(self.folder(run.spec) / MODEL))
        return model

    def write_checkpoint(self, spec: RunSpec, state: dict[str, Tensor]) -> None:
        """Keeps what an interrupted run goes on from."""
        folder = self.folder(spec)
        write_whole(folder / SPEC, _spec_bytes(spec))
        content = safetensors.torch.save(state)
        # The digest stands before the tensors, so that one rename replaces both together.
        write_whole(folder / CHECKPOINT, _checkpoint_digest(spec, content) + content)

    def read_checkpoint(self, spec: RunSpec) -> dict[str, Tensor] | None:
        """What `write_checkpoint` kept, or None.

        Raises:
            DamagedRun: the file is torn or edited.
        """
        path = self.folder(spec) / CHECKPOINT
        if not path.exists():
            return None
        content = path.read_bytes()
        digest, tensors = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if _checkpoint_digest(spec, tensors) != digest:
            raise DamagedRun(f"{path} is not what this run wrote (torn, edited or another run's)")
        try:
            return safetensors.torch.load(tensors)
        except SafetensorError as error:
            raise DamagedRun(f"{path} cannot be read: {error}") from error

    def epochs_done(self, spec: RunSpec) -> float:
        """How many epochs of a run are behind us: all of a finished one, else the checkpoint's.

        An epoch that has begun counts by the share of its images.

        Reads the head of the file only, so that progress can be watched while others write it.
        """
        if (self.folder(spec) / RESULT).exists():
            return spec.recipe.epochs
        try:
            with (self.folder(spec) / CHECKPOINT).open("rb") as file:
                file.seek(DIGEST_BYTES)
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            epochs = header["history"]["shape"][0]
            if "epoch.visited" in header:
                visited, images, _ = header["epoch.visited"]["shape"]
                epochs += visited / images
            return epochs
        except (OSError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError):
            return 0  # none, or damaged: `read_checkpoint` tells which

    def set_aside(self, spec: RunSpec) -> Path:
        """Moves a damaged run out of the way, for its owner to look at; returns where to."""
        number = 1
        while (target := self.path / "set-aside" / f"{spec.key}-{number}").exists():
            number += 1
        target.parent.mkdir(exist_ok=True)
        return self.folder(spec).rename(target)


def _sealed_document(path: Path) -> dict:
    try:
        document = json.loads(path.read_bytes())
        seal = document.pop("seal")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DamagedRun(f"{path} is not a result (torn or edited)") from error
    if seal != _digest(_json_bytes(document)):
        raise DamagedRun(f"{path} is not what was written (torn or edited)")
    return document


def _checkpoint_digest(spec: RunSpec, tensors: bytes) -> bytes:
    return hashlib.sha256(spec.key.encode() + tensors).digest()


def _spec_bytes(spec: RunSpec) -> bytes:
    return _json_bytes(spec.model_dump(mode="json"))


def _json_bytes(document: object) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
