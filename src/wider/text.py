"""Text for people: names are shown as they are written, and nothing in them is obeyed."""

import errno
import os
from typing import Any

from rich.console import Console
from rich.text import Text

PIPED_WIDTH = 200  # a file or a pipe has no width of its own to cut a table to
LONGEST_VALUE = 100  # characters of a value that a message shows


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
    """Standard output, wide where it is no terminal."""
    found = TextConsole()
    return found if found.is_terminal else TextConsole(width=PIPED_WIDTH)


def messages() -> Console:
    """Standard error, whose lines are not broken."""
    return TextConsole(stderr=True, soft_wrap=True)


def say(message: str, *, style: str | None = None) -> None:
    """Writes one line to standard error."""
    messages().print(message, style=style)


def shown(text: str) -> str:
    r"""A text with escapes such as \x1b in place of all that is not printable.

    Control characters would be obeyed by a terminal, and bidirectional ones turn names around;
    bytes that are no UTF-8, as Python has them in paths, cannot be written at all.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def quoted(value: object) -> str:
    """A value as Python writes it, for a message; cut where it is long."""
    try:
        written = repr(value)
    except ValueError:  # a whole number of more digits than Python turns into text
        return "a number of thousands of digits"
    return cut(written)


def cut(text: str) -> str:
    """A text, or the start of one that is too long for a message."""
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[:LONGEST_VALUE]}... ({len(text):,} characters)"


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
