"""The command that measures native code on this machine."""

from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

import wider
from wider.cli._tables import Columns
from wider.console import console, say
from wider.errors import InputError
from wider.files import write_output

if TYPE_CHECKING:
    import pandas as pd

    from wider.bench import Case, Suite


def bench(
    suites: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    *,
    threads: int = 1,
    repetitions: int = 7,
    output: Path | None = None,
) -> None:
    """Measures native code against PyTorch on this machine, in turn in one process.

    Args:
        suites: their names, such as mlp-step; all of them by default.
        threads: that may be used; what each peer used is in the table.
        repetitions: timed calls of each peer, after one that is not timed.
        output: a folder for each suite's table and chart, bench-SUITE.csv and .png.
    """
    chosen = [wider.bench.find(name) for name in suites or wider.bench.SUITES]
    if output is not None:
        _make_folder(output)  # before anything is measured: that takes a while
    for suite in chosen:
        say(f"{suite.name}: {suite.details}")
        table = wider.bench.run_suite(
            suite, threads=threads, repetitions=repetitions, on_case=_say_case
        )
        _print(suite, table)
        if output is not None:
            _write(suite, table, output)


def _print(suite: "Suite", table: "pd.DataFrame") -> None:
    columns = list(table.columns[1 : table.columns.get_loc("peer")])
    cells = suite.cells(table)
    shown = Columns(
        [column.replace("_", " ") for column in (*columns, *cells.columns)],
        expendable=("threads", "quartiles", "median"),
        title=f"{suite.name}: {suite.title}",
        caption=f"{suite.caption(table)}; {table['machine'].iloc[0]}",
    )
    for _, case in table.groupby(columns, sort=False):
        case_cells = [_text(case[column].iloc[0]) for column in columns]
        for row in cells.loc[case.index].itertuples(index=False):
            shown.add((*case_cells, *row))
        shown.end_section()
    shown.print()
    for remark in suite.remarks(table):
        console().print(remark)


def _text(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, Integral) else f"{value:.4g}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write to {str(folder)!r} ({error.strerror}): name another folder with --output"
        ) from error


def _write(suite: "Suite", table: "pd.DataFrame", folder: Path) -> None:
    path = folder / f"bench-{suite.name}.csv"
    write_output(path, table.to_csv(index=False, lineterminator="\n").encode())
    picture = path.with_suffix(".png")
    wider.report.write_chart(suite.draw(table), picture)
    say(f"written to {path} and {picture}")


def _say_case(case: "Case") -> None:
    columns = case.columns.items()
    say(", ".join(f"{name.replace('_', ' ')} {_text(value)}" for name, value in columns))
