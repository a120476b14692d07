"""Where the runs of a page come from: a store, or tables that were kept."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from wider.errors import InputError
from wider.runs import Store, of_the_same_images, read_table, runs_table, table_of_store
from wider.study import EXPERIMENTS


def runs_in_store(path: Path, say: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """All finished runs of a store that can be compared, one row each.

    Args:
        path: folder of the store.
        say: called with a sentence for each damaged run, which is left out, and where some are left
            out whose images were others than those of the latest run.

    Raises:
        InputError: there is no such folder, or no finished run in it.
    """
    if not path.is_dir():
        raise InputError(f"there is no store {str(path)!r}: name one with --store")
    table = table_of_store(Store(path), say)
    if table.empty:
        raise InputError(
            f"the store {str(path)!r} holds no finished run: train some with `wider run`"
        )
    return of_the_same_images(table, say)


def merged(*tables: pd.DataFrame, say: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """Tables of runs as one; a run that several of them have is in it once, as the last has it.

    Args:
        tables: of runs.
        say: as in `runs_in_store`.
    """
    filled = [table for table in tables if len(table)]
    if not filled:
        return runs_table([])
    every = pd.concat(filled, ignore_index=True)
    # In the order of the last one, as tables that were kept may lack columns.
    columns = list(dict.fromkeys([*filled[-1].columns, *every.columns]))
    table = every[columns].drop_duplicates("key", keep="last", ignore_index=True)
    return of_the_same_images(table, say)


def runs_in_results(folder: Path, say: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """All runs of a folder of tables named EXPERIMENT-SCALE.csv, one row each; others are left.

    Args:
        folder: of what `wider results --format csv` wrote.
        say: as in `runs_in_store`.

    Raises:
        InputError: there is no such table, or one that cannot be read.
    """
    scales = {
        f"{experiment.name}-{scale.name}.csv": scale
        for experiment in EXPERIMENTS.values()
        for scale in experiment.scales.values()
    }
    paths = sorted(path for path in folder.glob("*.csv") if path.name in scales)
    if not paths:
        raise InputError(
            f"{str(folder)!r} holds no table of an experiment, such as demo-laptop.csv: write one "
            "with `wider results demo --format csv`"
        )
    # A run that belongs to several experiments is in the table of each.
    return merged(*(read_table(path, scales[path.name].by_key) for path in paths), say=say)
