"""Runs of any kind as lines over the width: what differs between them, and their means."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from wider.columns import Role
from wider.evidence import over_seeds
from wider.runs import names_of

# Runs that share these have the same examples to learn, and as many weights to do it with.
FAMILY = names_of(Role.FAMILY)
TRAINING = names_of(Role.TRAINING)
WIDENING = names_of(Role.LINE)
SPARSE_ONLY = [name for name in WIDENING if name != "method"]

NOT_SPARSE = "-"
NOTHING = "none"


def by_family(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The runs of one family after the other, each with all of its lines."""
    for _, family in table.groupby(FAMILY, sort=True, dropna=False):
        yield family.reset_index(drop=True)


def varying(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Those of the columns that are not the same for all rows."""
    return [column for column in columns if table[column].nunique(dropna=False) > 1]


def same_lines(table: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """The runs of a table that are on the same lines as some of them, or the start of one.

    Args:
        table: one row per run.
        own: some of its rows.
    """
    plain, plain_own = _plain(table), _plain(own)
    training, line = [*FAMILY, *TRAINING], [*FAMILY, *TRAINING, *WIDENING]
    on_line = _names(plain, line).isin(_names(plain_own, line))
    starts = _is_baseline(plain) & _names(plain, training).isin(_names(plain_own, training))
    return table[on_line | starts].reset_index(drop=True)


def as_lines(table: pd.DataFrame) -> pd.DataFrame:
    """Runs with the dense baseline as the first member of every line that it belongs to.

    Args:
        table: one row per run, of any families.

    Returns:
        The same rows, but that allocation and pattern are "-" of nets that are not sparse, and that
        baselines are repeated: each stands for the method, allocation and pattern of every line but
        those of linear bottlenecks, and for itself where there is no such line.
    """
    groups = _plain(table).groupby([*FAMILY, *TRAINING], sort=False, dropna=False)
    parts = [part for _, group in groups for part in _lines_of(group)]
    return pd.concat(parts, ignore_index=True)


def with_baselines(table: pd.DataFrame, column: str, values: Sequence[str]) -> pd.DataFrame:
    """Makes the dense baseline, which is trained once, the first member of other lines too.

    Args:
        table: one row per run.
        column: "method" or "pattern".
        values: of it; those without any run are left out.
    """
    is_baseline = (table["width"] == table["base_width"]) & (table["method"] == "sparse")
    baselines = [
        table[is_baseline].assign(**{column: value})
        for value in values
        if (table[column] == value).any()
    ]
    return pd.concat([table, *baselines], ignore_index=True)


def means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of runs of any kind.

    Args:
        table: one row per run.

    Returns:
        One row per net and way to train it, line by line: dataset, method, whatever else is not
        the same for all runs, width, then as `over_seeds` has it.
    """
    lines = as_lines(table)
    sparse = lines[lines["method"] == "sparse"]
    others = varying(lines, [*FAMILY[1:], *TRAINING]) + varying(sparse, SPARSE_ONLY)
    for column in others:
        if lines[column].isna().any():  # numbers and nothing cannot be sorted
            lines[column] = [_text(value) for value in lines[column]]
    return over_seeds(lines, ["dataset", "method", *others, "width"])


def _text(value: Any) -> str:
    if pd.isna(value):
        return NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The same without the allocation and pattern that nets which are not sparse do not have."""
    plain = table.copy()
    plain.loc[plain["method"] != "sparse", SPARSE_ONLY] = NOT_SPARSE
    return plain


def _names(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """A name for each combination of values, in which nothing equals nothing."""
    values = table[list(columns)].astype(object)
    rows = values.where(values.notna(), None).to_numpy().tolist()
    return pd.Series([repr(row) for row in rows], index=table.index, dtype=object)


def _is_baseline(table: pd.DataFrame) -> pd.Series:
    return (table["width"] == table["base_width"]) & (table["method"] != "linear_bottleneck")


def _lines_of(group: pd.DataFrame) -> list[pd.DataFrame]:
    is_baseline = _is_baseline(group)
    members = group[~is_baseline]
    # One seed's baseline may have been trained by several names.
    baselines = group[is_baseline].drop_duplicates("seed")
    lines = members.loc[members["method"] != "linear_bottleneck", WIDENING].drop_duplicates()
    firsts = [baselines.assign(**dict(zip(WIDENING, line, strict=True))) for line in lines.values]
    return [members, *(firsts or [baselines])]
