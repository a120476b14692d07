"""The command line."""

from importlib import import_module
from typing import TYPE_CHECKING

from wider.cli._start import start

if TYPE_CHECKING:
    from wider.cli._commands import COMMANDS
    from wider.cli._main import main

__all__ = ["COMMANDS", "main", "start"]

_HOMES = {"COMMANDS": "_commands", "main": "_main"}


def __getattr__(name: str) -> object:
    """Imports what is asked for: `start` hears signals meanwhile."""
    if name not in _HOMES:
        raise AttributeError(f"module 'wider.cli' has no attribute {name!r}")
    return getattr(import_module(f"wider.cli.{_HOMES[name]}"), name)
