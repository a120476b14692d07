"""What people read on a terminal: results on standard output, messages on standard error."""

import errno
import os
from typing import Any

from rich.console import Console
from rich.text import Text

from wider.text import shown

PIPED_WIDTH = 200  # of a file or a pipe


class TextConsole(Console):
    """A console that shows all strings as text, without markup, those in tables too."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **keywords)

    def render_str(self, text: str, **keywords: Any) -> Text:
        """Shows one string; see `shown`."""
        return super().render_str(shown(text), **{**keywords, "markup": False, "emoji": False})

    def on_broken_pipe(self) -> None:
        """Leaves it to the caller, whose exit code tells of it."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def console() -> Console:
    """Standard output, wide where it has no width of its own."""
    found = TextConsole()
    return found if has_width(found) else TextConsole(width=PIPED_WIDTH)


def has_width(output: Console) -> bool:
    """Whether lines must not be longer than some width: a terminal's, or what `COLUMNS` says."""
    return output.is_terminal or "COLUMNS" in os.environ


def messages() -> Console:
    """Standard error, whose lines are not broken."""
    return TextConsole(stderr=True, soft_wrap=True)


def say(message: str, *, style: str | None = None) -> None:
    """Writes one line to standard error."""
    messages().print(message, style=style)
