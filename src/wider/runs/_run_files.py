"""The files of one run: what stands in them, and whether it is what was written."""

import base64
import hashlib
import io
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from wider.errors import InputError
from wider.files import NotAFileError, read_whole, write_whole
from wider.runs._digests import Digests
from wider.runs._result import RunResult, summary_of
from wider.runs._spec import RunSpec
from wider.training import History

SPEC, HISTORY, MODEL, RESULT = "spec.json", "history.parquet", "model.safetensors", "result.json"
CHECKPOINT = "checkpoint.safetensors"
FILES = (SPEC, HISTORY, MODEL)  # that a finished run has beside its result
EVERY_NAME = {*FILES, RESULT, CHECKPOINT}
DIGEST_BYTES = hashlib.sha256().digest_size
SIZE_BYTES = 8  # of the number with which a file of safetensors begins: of its header's bytes


class DamagedRun(InputError):  # noqa: N818 - a state of the store that callers handle
    """A file of a run is torn, edited, missing or no file; the message names it."""


@dataclass(frozen=True)
class Run:
    """A finished run: what was asked for and what came out."""

    spec: RunSpec
    result: RunResult
    history: History

    @property
    def digests(self) -> Digests:
        """Of what it depends on beside its spec."""
        return Digests(self.result.provenance.data_digest, self.result.provenance.code_digest)


def check_folder(folder: Path) -> None:
    """Does nothing if a run can be kept in a folder, or is.

    Raises:
        DamagedRun: it is a link, through which others' files would be written, or no folder.
    """
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "no folder"
        raise DamagedRun(f"{folder} is {kind}, and runs are kept in folders of their own")


def read_run(folder: Path, key: str) -> Run | None:
    """The finished run in a folder, or None where there is none.

    Everything is compared with the digests that were written last, and what is said of the whole
    run with its history. That finds accidents; who forges a run can forge the digests, too.

    Args:
        folder: of the run.
        key: of its spec.

    Raises:
        DamagedRun: a file of it is torn, edited or missing.
        OSError: one cannot be read.
    """
    check_folder(folder)
    if not os.path.lexists(folder / RESULT):
        return None
    try:
        document = _sealed_document(folder / RESULT)
        contents = {name: _checked(folder / name, document["files"][name]) for name in FILES}
        result = RunResult.model_validate(document["result"])
        history = History.from_table(pd.read_parquet(io.BytesIO(contents[HISTORY])))
        spec = RunSpec.model_validate_json(contents[SPEC])
    except (DamagedRun, OSError):
        raise
    except Exception as error:  # readers raise anything for what nobody wrote for them
        raise DamagedRun(f"{folder} does not hold a run: {_reason(error)}") from error
    if spec.key != key:
        raise DamagedRun(f"{folder / SPEC} describes another run")
    _check_summary(spec, result, history, folder)
    return Run(spec, result, history)


def read_spec(folder: Path, key: str) -> RunSpec | None:
    """What was asked for of the run in a folder; None where that does not stand there."""
    try:
        check_folder(folder)
        spec = RunSpec.model_validate_json(read_whole(folder / SPEC))
    except (DamagedRun, OSError, ValueError, RecursionError):
        return None
    return spec if spec.key == key else None


def write_run(folder: Path, run: Run, model: nn.Module) -> None:
    """Writes a finished run; arguments as in `Store.write`."""
    spec, history = run.spec, run.history
    table = io.BytesIO()
    history.to_table().to_parquet(table, index=False)
    contents = {
        SPEC: _spec_bytes(spec),
        HISTORY: table.getvalue(),
        MODEL: safetensors.torch.save(
            {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
        ),
    }
    document = {
        "result": run.result.model_dump(mode="json"),
        "files": {name: digest(content) for name, content in contents.items()},
    }
    sealed = {**document, "seal": digest(json_bytes(document))}
    write_files(folder, {**contents, RESULT: json_bytes(sealed)})


def files_of(folder: Path) -> dict[str, bytes]:
    """What is there of a run, finished or not, by the names of its files."""
    check_folder(folder)
    names = [name for name in (*FILES, CHECKPOINT, RESULT) if os.path.lexists(folder / name)]
    return {name: _read(folder / name) for name in names}


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes what `files_of` gave, the result last; a finished run has no checkpoint."""
    check_folder(folder)
    for name in (*FILES, CHECKPOINT, RESULT):
        if name in contents:
            write_whole(folder / name, contents[name])
    if RESULT in contents:
        discard_checkpoint(folder)


def discard_checkpoint(folder: Path) -> None:
    """Removes the checkpoint of a run, if there is one: it is finished."""
    check_folder(folder)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def write_checkpoint(
    folder: Path, spec: RunSpec, state: Mapping[str, Tensor], digests: Digests
) -> None:
    """Writes what an interrupted run goes on from; arguments as in `Store.write_checkpoint`."""
    check_folder(folder)
    write_whole(folder / SPEC, _spec_bytes(spec))
    content = safetensors.torch.save(dict(state), metadata=digests.metadata)
    # The digest stands before the tensors, so that one rename replaces both together.
    write_whole(folder / CHECKPOINT, _checkpoint_digest(spec.key, content) + content)


def read_checkpoint(folder: Path, key: str) -> dict[str, Tensor] | None:
    """What `write_checkpoint` wrote, or None.

    Raises:
        DamagedRun: the file is torn or edited, or another of the run's is a folder.
        OSError: it cannot be read.
    """
    check_folder(folder)
    for name in sorted(EVERY_NAME):
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            raise DamagedRun(f"{folder / name} is a folder, and nothing can be written there")
    path = folder / CHECKPOINT
    if not os.path.lexists(path):
        return None
    content = _read(path)
    own_digest, tensors = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if _checkpoint_digest(key, tensors) != own_digest:
        raise DamagedRun(f"{path} is not what this run wrote (torn, edited or another run's)")
    try:
        return safetensors.torch.load(tensors)
    except SafetensorError as error:
        raise DamagedRun(f"{path} cannot be read: {error}") from error


def epochs_in_checkpoint(folder: Path) -> float:
    """How many epochs are behind a checkpoint; none where it is missing or damaged."""
    try:
        header = _header(folder)
        epochs = header["history"]["shape"][0]
        if "epoch.visited" in header:
            visited, images, _ = header["epoch.visited"]["shape"]
            epochs += visited / images
        return epochs
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return 0


def digests_in_checkpoint(folder: Path) -> Digests | None:
    """Of what a checkpoint's run is trained on; None where it does not say."""
    try:
        metadata = _header(folder)["__metadata__"]
        return Digests.from_metadata(metadata)
    except (LookupError, TypeError, AttributeError):
        return None


def _header(folder: Path) -> dict:
    """What the head of a checkpoint says of its tensors; empty where it is missing or damaged.

    Progress can so be watched while others write the file. `read_checkpoint` tells what is wrong.
    """
    path = folder / CHECKPOINT
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return {}
        with path.open("rb") as file:
            file.seek(DIGEST_BYTES)
            return json.loads(file.read(int.from_bytes(file.read(SIZE_BYTES), "little")))
    except (OSError, ValueError, OverflowError, MemoryError, RecursionError):
        return {}


def run_as_text(run: Run) -> str:
    """A finished run as JSON, for a cache."""
    numbers = base64.b64encode(run.history.to_tensor().numpy().tobytes()).decode()
    parts = (run.spec.model_dump_json(), run.result.model_dump_json(), json.dumps(numbers))
    return f"[{', '.join(parts)}]"


def run_from_text(text: str) -> Run:
    """The inverse of `run_as_text`."""
    spec, document, numbers = json.loads(text)
    result = RunResult.model_validate(document)
    rows = np.frombuffer(base64.b64decode(numbers)).reshape(result.epochs, -1)
    history = History.from_tensor(torch.from_numpy(rows.copy()))
    return Run(RunSpec.model_validate(spec), result, history)


def json_bytes(document: object) -> bytes:
    """JSON as it is written in a store."""
    return (json.dumps(document, indent=2) + "\n").encode()


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _check_summary(spec: RunSpec, result: RunResult, history: History, folder: Path) -> None:
    if [row.epoch for row in history] != list(range(1, len(history) + 1)) or not history:
        raise DamagedRun(f"{folder / HISTORY} does not have the epochs 1, 2, ... of a run")
    summary = summary_of(history, metric=result.metric, higher_is_better=result.higher_is_better)
    wrong = [name for name, value in summary.items() if getattr(result, name) != value]
    if wrong:
        raise DamagedRun(
            f"{folder / RESULT} does not say what {HISTORY} says of {', '.join(wrong)}"
        )
    if result.status == "finished" and result.epochs != spec.recipe.num_rounds:
        raise DamagedRun(
            f"{folder / HISTORY} has {result.epochs} epochs, {spec.recipe.num_rounds} were asked "
            "for"
        )


def _sealed_document(path: Path) -> dict:
    try:
        document = json.loads(_read(path))
        seal = document.pop("seal")
        written = digest(json_bytes(document))
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DamagedRun(f"{path} is not a result (torn or edited)") from error
    if seal != written:
        raise DamagedRun(f"{path} is not what was written (torn or edited)")
    if set(document["files"]) != set(FILES):
        raise DamagedRun(f"{path} does not name the files {', '.join(FILES)}")
    return document


def _checked(path: Path, expected: str) -> bytes:
    content = _read(path)
    if digest(content) != expected:
        raise DamagedRun(f"{path} is not what was written (torn or edited)")
    return content


def _read(path: Path) -> bytes:
    try:
        return read_whole(path)
    except FileNotFoundError as error:
        raise DamagedRun(f"{path} is missing") from error
    except NotAFileError as error:
        raise DamagedRun(f"{path} cannot be trusted: {error.strerror}") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _checkpoint_digest(key: str, tensors: bytes) -> bytes:
    return hashlib.sha256(key.encode() + tensors).digest()


def _spec_bytes(spec: RunSpec) -> bytes:
    return json_bytes(spec.model_dump(mode="json"))
