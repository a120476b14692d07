"""A cache of what is known of the runs of a store, as long as their files stay as they are."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from wider.runs import _run_files as run_files
from wider.runs._run_files import DamagedRun

VERSION = 1  # raise it when the table comes to hold something else
TABLE = "CREATE TABLE known (kind TEXT, key TEXT, signature TEXT, content TEXT, digest BLOB, \
PRIMARY KEY (kind, key)) WITHOUT ROWID"
MOST_KEYS = 500  # in one question


def signature(folder: Path) -> str:
    """Changes whenever one of the files of a finished run is written, moved or replaced.

    Empty where one is missing, or where the folder is a link.
    """
    try:
        run_files.check_folder(folder)
        names = (run_files.RESULT, *run_files.FILES)
        found = [os.lstat(f"{folder}{os.sep}{name}") for name in names]
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

    def read(self, kind: str, signatures: Mapping[str, str]) -> dict[str, str]:
        """What is known of some runs that are as they were, by key.

        Args:
            kind: of knowledge.
            signatures: of the runs now, by their keys.
        """
        found = {}
        for key, own, content, digest in self._rows(kind, list(signatures)):
            if own == signatures[key] and digest == _digest(kind, key, own, content):
                found[key] = content
        return found

    def write(self, kind: str, contents: Mapping[str, str], signatures: Mapping[str, str]) -> None:
        """Adds what is known of runs, in the place of what was known of them.

        Args:
            kind: of knowledge.
            contents: by key.
            signatures: taken before the runs were read; without one nothing is added.
        """
        rows = [
            (kind, key, signatures[key], content, _digest(kind, key, signatures[key], content))
            for key, content in contents.items()
            if key in signatures
        ]
        if not rows:
            return
        with suppress(sqlite3.Error, OSError), self._opened("rwc") as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?)", rows)

    def _rows(self, kind: str, keys: list[str]) -> Iterator[tuple[str, str, str, bytes]]:
        with suppress(sqlite3.Error, OSError), self._opened("ro") as connection:
            for start in range(0, len(keys), MOST_KEYS):
                some = keys[start : start + MOST_KEYS]
                yield from connection.execute(
                    "SELECT key, signature, content, digest FROM known "
                    f"WHERE kind = ? AND key IN ({', '.join('?' * len(some))})",
                    [kind, *some],
                )

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
            if version != VERSION and mode == "ro":
                raise sqlite3.OperationalError("it is of another version of wider")
            if version != VERSION:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("DROP TABLE IF EXISTS known")
                    connection.execute(TABLE)
                    connection.execute(f"PRAGMA user_version = {VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection


def _digest(*parts: object) -> bytes:
    """Of a row, whatever the types of a damaged file's columns."""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="replace")).digest()
