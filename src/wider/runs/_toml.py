"""A TOML file whose errors point at a line."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT, Table

from wider.errors import InputError

KeyPath = tuple[str | int, ...]
"""The keys, and the places in arrays, that lead to a value; empty for the whole file."""


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

    def error(self, path: KeyPath, message: str) -> InputError:
        """An error that names the file and the line of a key."""
        if not path:
            return InputError(f"{self.path}: {message}")
        return InputError(f"{self.path}, line {line_of(self.text, path)}: {message}")


def read_toml(path: Path) -> TomlFile:
    """Reads a TOML file.

    Raises:
        InputError: it cannot be read, or is not valid TOML.
    """
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {str(path)!r} as a text file: {error}") from error
    try:
        # The standard library's messages always have the line, those of tomlkit most of the time.
        return TomlFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error


def dotted(path: KeyPath) -> str:
    """A path as it is written; keys that have a dot of their own are in quotation marks."""
    return ".".join(f'"{part}"' if "." in str(part) else str(part) for part in path)


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
