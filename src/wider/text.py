"""Text for people: names are shown as they are written, and nothing in them is obeyed."""

from collections.abc import Sequence

LONGEST_VALUE = 100  # characters of a value that a message shows


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


def aligned(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """The lines of a table without rules.

    Args:
        rows: of cells, the headings first.
        right: columns of numbers, which end at the same place.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
