"""The command line."""

from wider.cli._main import main

__all__ = ["main"]
