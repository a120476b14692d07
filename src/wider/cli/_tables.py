"""Tables on standard output, of whose columns the least important go where there is no room."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from wider.console import console, has_width

SHORTEST_LINE = 20  # letters of a text that is broken into lines
BORDERS = 3  # letters between two columns


@dataclass
class Columns:
    """A table that fits the terminal: columns are left out, and named below; digits never are.

    Attributes:
        headings: of all columns.
        expendable: those that go, the first one first.
        texts: columns whose cells may be broken into lines; those of others stand at the right.
        title: above the table.
        caption: below it.
    """

    headings: Sequence[str]
    expendable: Sequence[str] = ()
    texts: Collection[str] = ()
    title: str | None = None
    caption: str | None = None
    _rows: list[tuple[Sequence[str | Text], str | None]] = field(default_factory=list)
    _sections: set[int] = field(default_factory=set)

    def add(self, cells: Iterable[str | Text], *, style: str | None = None) -> None:
        """Adds a row."""
        self._rows.append((tuple(cells), style))

    def end_section(self) -> None:
        """Draws a line below the last row."""
        self._sections.add(len(self._rows) - 1)

    def print(self) -> None:
        """Prints it, and which columns were left out."""
        out = console()
        most = {place: self._most(place) for place in range(len(self.headings))}
        if not has_width(out):
            out.width = max(out.width, _total(most))
        least = {place: self._least(place) for place in most}
        going = iter(self.expendable)
        left_out: list[str] = []
        while _total(least) > out.width and (heading := next(going, None)) is not None:
            left_out.append(heading)
            del least[self.headings.index(heading)]
        out.print(self._table(_widened(least, most, out.width)))
        if left_out:
            out.print(f"left out for want of room: {'; '.join(left_out)}")

    def _most(self, place: int) -> int:
        """Letters of the longest cell of a column, or of its heading."""
        cells = [self.headings[place], *(str(row[place]) for row, _ in self._rows)]
        return max(map(cell_len, cells))

    def _least(self, place: int) -> int:
        """The same where headings, and texts, are broken into lines."""
        longest = max(map(cell_len, self.headings[place].split()))
        cells = max((cell_len(str(row[place])) for row, _ in self._rows), default=0)
        is_text = self.headings[place] in self.texts
        return max(longest, min(cells, SHORTEST_LINE) if is_text else cells)

    def _table(self, widths: dict[int, int]) -> Table:
        table = Table(title=self.title, caption=self.caption)
        for place, width in widths.items():
            heading = self.headings[place]
            justify = "left" if heading in self.texts else "right"
            table.add_column(heading, justify=justify, width=width)
        for number, (cells, style) in enumerate(self._rows):
            ends = number in self._sections
            table.add_row(*(cells[place] for place in widths), style=style, end_section=ends)
        return table


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + BORDERS * len(widths) + 1


def _widened(least: dict[int, int], most: dict[int, int], width: int) -> dict[int, int]:
    """Columns that share what room there is, letter by letter, where most is missing."""
    widths = dict(least)
    for _ in repeat(None, width - _total(widths)):
        place = max(widths, key=lambda place: most[place] - widths[place])
        widths[place] = min(widths[place] + 1, most[place])
    return widths
