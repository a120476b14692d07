"""Where the runs of a page come from: a store, or tables that were kept."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from wider.errors import InputError
from wider.experiments import EXPERIMENTS, read_table, runs_table
from wider.runs import Store


def runs_in_store(path: Path, on_damage: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """All finished runs of a store, one row each.

    Args:
        path: folder of the store.
        on_damage: called with a sentence for each damaged run, which is left out.

    Raises:
        InputError: there is no such folder, or no finished run in it.
    """
    if not path.is_dir():
        raise InputError(f"there is no store {str(path)!r}: name one with --store")
    runs = Store(path).runs(on_damage)
    if not runs:
        raise InputError(
            f"the store {str(path)!r} holds no finished run: train some with `wider run`"
        )
    return runs_table(runs)


def merged(*tables: pd.DataFrame) -> pd.DataFrame:
    """Tables of runs as one; a run that several of them have is in it once, as the last has it."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return runs_table([])
    every = pd.concat(filled, ignore_index=True)
    # In the order of the last one, as tables that were kept may lack columns.
    columns = list(dict.fromkeys([*filled[-1].columns, *every.columns]))
    return every[columns].drop_duplicates("key", keep="last", ignore_index=True)


def runs_in_results(folder: Path) -> pd.DataFrame:
    """All runs of a folder of tables named EXPERIMENT-SCALE.csv, one row each; others are left.

    Args:
        folder: of what `wider results --format csv` wrote.

    Raises:
        InputError: there is no such table, or one that cannot be read.
    """
    names = {
        f"{experiment.name}-{scale}.csv"
        for experiment in EXPERIMENTS.values()
        for scale in experiment.scales
    }
    paths = sorted(path for path in folder.glob("*.csv") if path.name in names)
    if not paths:
        raise InputError(
            f"{str(folder)!r} holds no table of an experiment, such as demo-laptop.csv: write one "
            "with `wider results demo --format csv`"
        )
    # A run that belongs to several experiments is in the table of each.
    return merged(*(read_table(path) for path in paths))
