"""The command that trains a study of the user's own."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

import wider
from wider.cli._output import print_summary, said_of_diverged
from wider.cli._where import TrainsAnywhere
from wider.console import console, say
from wider.own_code import look_in

if TYPE_CHECKING:
    from wider.runs import Run


def sweep(
    study: Annotated[Path, tyro.conf.Positional],
    *,
    where: TrainsAnywhere,
    store: Path = Path("runs"),
) -> str | None:
    """Trains what the store lacks of a study of your own, and prints its means over seeds.

    Args:
        study: a TOML file with the fields of a run, and lists of values under [grid]. Code of your
            own (MODULE:NAME) is found beside it, too.
        where: the runs are trained.
        store: folder of the runs; `wider report` makes a page of it.
    """
    look_in(study.parent)
    asked = wider.runs.read_study(study)
    wider.runs.check_nets(asked.specs, data_dir=where.data_dir)
    runs = wider.runs.train_missing(asked.specs, wider.runs.Store(store), **where.keywords)
    if wider.training.is_first_process():
        console().print(asked.title)
        for words in dict.fromkeys(_metric_of(run) for run in runs):
            console().print(f"compared by {words}")
        table = wider.runs.of_the_same_images(wider.runs.runs_table(runs), say)
        print_summary(wider.study.means(table))
    return said_of_diverged(
        [run.spec.title for run in runs if run.result.status == "diverged"],
        num_runs=len(runs),
        listed_by=f"wider report --store {shlex.quote(str(store))}",
    )


def _metric_of(run: "Run") -> str:
    better = "higher" if run.result.higher_is_better else "lower"
    return f"{run.result.words} ({better} is better)"
