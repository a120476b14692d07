"""A TOML file whose errors point at a line."""

import stat
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT, Table

from wider.errors import InputError
from wider.text import cut, quoted, shown

KeyPath = tuple[str | int, ...]
"""The keys, and the places in arrays, that lead to a value; empty for the whole file."""

Problem = tuple[KeyPath, str]
"""Where something is wrong, and what is to be said of it."""

MOST_BYTES = 100_000
MOST_PROBLEMS = 20
DEEPEST = 20
TOO_DEEP = f"tables or lists are more than {DEEPEST} deep within each other, and no field is"


@dataclass(frozen=True)
class TomlFile:
    """A TOML file: its values, and where they stand.

    Attributes:
        path: of the file.
        text: its contents.
        document: its contents as plain dicts, lists and values.
    """

    path: Path
    text: str
    document: dict[str, Any]

    def error(self, problems: Iterable[Problem]) -> InputError:
        """An error that names the file and, of each problem, the line of its key; of many problems
        the first few.
        """
        every = list(problems)
        lines = [line_of(self.text, path) if path else 0 for path, _ in every[:MOST_PROBLEMS]]
        said = [
            f"{self.path}, line {line}: {message}" if line else f"{self.path}: {message}"
            for line, (_, message) in sorted(zip(lines, every, strict=False), key=itemgetter(0))
        ]
        if len(every) > MOST_PROBLEMS:
            said.append(f"{self.path}: there is more to mend than these {MOST_PROBLEMS} lines say")
        return InputError(*said)


def read_toml(path: Path) -> TomlFile:
    """Reads a TOML file.

    Raises:
        InputError: it cannot be read, is not valid TOML, or is larger or deeper than a file that
            somebody writes.
    """
    text = _text(path)
    try:
        # The standard library's messages always have the line, those of tomlkit most of the time.
        file = TomlFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error
    except ValueError as error:  # from Python, of a whole number of thousands of digits
        raise InputError(f"{path} is not valid TOML: a number is too long") from error
    except RecursionError as error:
        raise InputError(f"{path}: {TOO_DEEP}") from error
    problems = [
        (at, f"{dotted(at)} is {quoted(value)}, and whole numbers of TOML have at most 64 bits")
        for at, value in _values(file)
        if isinstance(value, int) and not -(2**63) <= value < 2**63
    ]
    if problems:
        raise file.error(problems)
    return file


def dotted(path: KeyPath) -> str:
    """A path as it is written; keys that have a dot of their own are in quotation marks."""
    return cut(".".join(shown(f'"{part}"' if "." in str(part) else str(part)) for part in path))


def _text(path: Path) -> str:
    name = quoted(str(path))
    try:
        about = path.stat()
        is_file = stat.S_ISREG(about.st_mode)
        content = path.read_bytes() if is_file and about.st_size <= MOST_BYTES else b""
        text = content.decode("utf-8-sig")  # editors on Windows put a mark before the text
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {name} as a text file: {error}; save it as UTF-8") from error
    except (OSError, ValueError) as error:  # the latter: a name with a zero byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read {name} as a text file: {reason}") from error
    if not is_file:
        raise InputError(f"{name} is no file: name a TOML file")
    if about.st_size > MOST_BYTES:
        raise InputError(
            f"{name} has {about.st_size:,} bytes, and a study has at most {MOST_BYTES:,}: make "
            "several studies of it"
        )
    return text


def _values(file: TomlFile) -> Iterator[tuple[KeyPath, Any]]:
    """All that is neither a table nor a list.

    Raises:
        InputError: tables or lists are too deep within each other.
    """
    waiting: list[tuple[KeyPath, Any]] = [((), file.document)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > DEEPEST:
            raise InputError(f"{file.path}: {dotted(path[:1])}: {TOO_DEEP}")
        if isinstance(value, dict):
            waiting += [((*path, part), each) for part, each in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, place), each) for place, each in enumerate(value)]
        else:
            yield path, value


def line_of(text: str, path: KeyPath) -> int:
    """The line, counted from 1, on which a value of a TOML document starts.

    Args:
        text: the document.
        path: keys and places in arrays that are there, at least one.

    Returns:
        That of the key, of the place in an array, or of a table's [header]; of a table without one,
        or in several parts, that of its first key.
    """
    # What tomlkit writes is what it read, but for the mark that is put there.
    mark = "HERE"
    while mark in text:
        mark += "E"
    document = tomlkit.parse(text)
    parent: Any = document
    for part in path[:-1]:
        parent = parent[part]
    found = parent[path[-1]]
    children = list(found) if isinstance(found, dict) else [0] if isinstance(found, AoT) else []
    if isinstance(found, Table):
        found.trivia.indent += mark
    elif not children:
        parent[path[-1]] = mark
    before, is_there, _ = tomlkit.dumps(document).partition(mark)
    return before.count("\n") + 1 if is_there else line_of(text, (*path, children[0]))
