"""A cache of the runs of a store that were read and found whole."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import ValidationError

from wider.runs import _run_files as run_files
from wider.runs._result import RunResult
from wider.runs._run_files import DamagedRun, Run
from wider.runs._spec import RunSpec
from wider.training import Epoch, History

VERSION = 1  # raise it when rows come to hold something else
TABLE = "CREATE TABLE runs (key TEXT PRIMARY KEY, signature TEXT, spec TEXT, result TEXT, \
history BLOB, digest BLOB) WITHOUT ROWID"
MOST_KEYS = 500  # in one question


class _Row(NamedTuple):
    """A run as it lies in the index.

    Attributes:
        key: of its spec.
        signature: of its files when they were read; see `signature`.
        spec: JSON.
        result: JSON.
        history: numbers of 8 bytes, a row an epoch.
    """

    key: str
    signature: str
    spec: str
    result: str
    history: bytes

    @classmethod
    def of(cls, run: Run, own_signature: str) -> "_Row":
        """The row of a run that was just read."""
        return cls(
            run.spec.key,
            own_signature,
            run.spec.model_dump_json(),
            run.result.model_dump_json(),
            run.history.to_tensor().numpy().tobytes(),
        )

    def run(self) -> Run:
        """The run."""
        numbers = torch.frombuffer(bytearray(self.history), dtype=torch.float64)
        return Run(
            RunSpec.model_validate_json(self.spec),
            RunResult.model_validate_json(self.result),
            History.from_tensor(numbers.view(-1, len(fields(Epoch)))),
        )

    def digest(self) -> bytes:
        """SHA-256 of all of it."""
        # Whatever the types of a damaged file's columns.
        parts = (part if isinstance(part, bytes) else str(part).encode() for part in self)
        return hashlib.sha256(b"\0".join(parts)).digest()


def signature(folder: Path) -> str:
    """Changes whenever one of the files of a finished run is written, moved or replaced.

    Empty where one is missing, or where the folder is a link.
    """
    try:
        run_files.check_folder(folder)
        found = [(folder / name).lstat() for name in (run_files.RESULT, *run_files.FILES)]
    except (DamagedRun, OSError):
        return ""
    return " ".join(
        f"{file.st_ino} {file.st_size} {file.st_mtime_ns} {file.st_ctime_ns}" for file in found
    )


class Index:
    """An SQLite file beside the runs. Without it they are read one by one, and it is made anew.

    Nothing depends on it: what cannot be opened, is damaged or cannot be written is as good as
    empty.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def runs(self, signatures: Mapping[str, str]) -> dict[str, Run]:
        """Those of some runs that are there as they are on disk, by key.

        Args:
            signatures: by the runs' keys.
        """
        found = {}
        for row in self._rows(list(signatures)):
            if row.signature == signatures[row.key]:
                with suppress(ValidationError):
                    found[row.key] = row.run()
        return found

    def update(self, runs: Mapping[str, Run], signatures: Mapping[str, str]) -> None:
        """Adds runs that were read, in the place of what was there of them.

        Args:
            runs: by key.
            signatures: taken before they were read.
        """
        rows = [_Row.of(run, signatures[key]) for key, run in runs.items() if key in signatures]
        with suppress(sqlite3.Error, OSError), self._opened("rwc") as connection, connection:
            connection.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)",
                [(*row, row.digest()) for row in rows],
            )

    def _rows(self, keys: Sequence[str]) -> Iterator[_Row]:
        with suppress(sqlite3.Error, OSError), self._opened("ro") as connection:
            for start in range(0, len(keys), MOST_KEYS):
                some = keys[start : start + MOST_KEYS]
                marks = ", ".join("?" * len(some))
                question = f"SELECT * FROM runs WHERE key IN ({marks})"
                for *columns, digest in connection.execute(question, some):
                    row = _Row(*columns)
                    if row.digest() == digest:
                        yield row

    @contextmanager
    def _opened(self, mode: str) -> Iterator[sqlite3.Connection]:
        if os.path.lexists(self._path) and (self._path.is_symlink() or not self._path.is_file()):
            raise OSError(f"{self._path} is no file")
        try:
            with closing(self._connected(mode)) as connection:
                yield connection
        except sqlite3.OperationalError:  # another process writes, or nothing may be written
            raise
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            raise

    def _connected(self, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode={mode}", uri=True)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != VERSION and mode != "ro":
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("DROP TABLE IF EXISTS runs")
                    connection.execute(TABLE)
                    connection.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise sqlite3.OperationalError("it is of another version of wider")
        except BaseException:
            connection.close()
            raise
        return connection
