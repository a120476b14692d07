"""What is printed is text: nothing in a name is obeyed, by rich or by a terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from wider.console import TextConsole
from wider.text import aligned, quoted, shown

EVIL = "[bold]a[/x] :smile: \x1b[31mred\x07\r\u202e\udce9\nend"
PLAIN = r"[bold]a[/x] :smile: \x1b[31mred\x07\r\u202e\udce9\nend"


@given(st.text())
def test_what_is_shown_is_printable_and_shown_again_the_same(text: str):
    assert shown(text).isprintable()
    assert shown(shown(text)) == shown(text)
    assert shown(text) == text or not text.isprintable()


def test_escapes_by_hand():
    assert shown(EVIL) == PLAIN
    assert shown("größe 幅 ±") == "größe 幅 ±"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_every_part_of_a_table_is_text(is_terminal: bool):
    table = Table(title=EVIL, caption=EVIL)
    table.add_column(EVIL)
    table.add_row(EVIL)
    output = io.StringIO()
    console = TextConsole(file=output, width=200, force_terminal=is_terminal, color_system=None)
    console.print(table)
    console.print(EVIL)
    assert output.getvalue().count(PLAIN) == 5
    assert not set(output.getvalue()) & {"\x07", "\r", "\u202e", "\udce9"}
    assert "\x1b[31m" not in output.getvalue()


def test_long_values_are_cut():
    assert quoted("a") == "'a'"
    assert quoted("a" * 1000) == f"'{'a' * 99}... (1,002 characters)"
    assert quoted(10**5000) == "a number of thousands of digits"


def test_numbers_end_at_the_same_place():
    rows = [("layer", "weights", ""), ("0", "3,970", "native"), ("output", "80", "")]
    assert aligned(rows, right=[1]) == [
        "layer   weights",
        "0         3,970  native",
        "output       80",
    ]
