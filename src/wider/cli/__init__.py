"""The command line."""

from typing import TYPE_CHECKING

from wider.cli._start import start

if TYPE_CHECKING:
    from wider.cli._main import main

__all__ = ["main", "start"]


def __getattr__(name: str) -> object:
    """Imports `main` when it is asked for: `start` hears signals meanwhile."""
    if name != "main":
        raise AttributeError(f"module 'wider.cli' has no attribute {name!r}")
    from wider.cli._main import main  # noqa: PLC0415

    return main
