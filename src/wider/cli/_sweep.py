"""The command that trains a study of the user's own."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import tyro

from wider.cli._output import print_summary, said_of_diverged
from wider.own_code import look_in
from wider.runs import Run, Store, check_nets, read_study, train_missing
from wider.study import means, of_the_same_images, runs_table
from wider.text import console, say
from wider.training import Precision, is_first_process


def sweep(
    study: Annotated[Path, tyro.conf.Positional],
    *,
    store: Path = Path("runs"),
    data_dir: Path | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    precision: Precision = "float32",
    jobs: int = 1,
    executor: str | None = None,
    address: str | None = None,
) -> str | None:
    """Trains what the store lacks of a study of your own, and prints its means over seeds.

    Args:
        study: a TOML file with the fields of a run, and lists of values under [grid]. Code of your
            own (MODULE:NAME) is found beside it, too.
        store: folder of the runs; `wider report` makes a page of it.
        data_dir: folder of datasets; see `wider run --help`.
        device: where to train.
        precision: of products; see `wider run --help`.
        jobs: runs at a time; see `wider run --help`.
        executor: that runs them; see `wider run --help`.
        address: of the cluster; see `wider run --help`.
    """
    look_in(study.parent)
    asked = read_study(study)
    check_nets(asked.specs, data_dir=data_dir)
    runs = train_missing(
        asked.specs,
        Store(store),
        data_dir=data_dir,
        device=device,
        precision=precision,
        jobs=jobs,
        executor=executor,
        address=address,
    )
    if is_first_process():
        console().print(asked.title)
        for words in dict.fromkeys(_judged(run) for run in runs):
            console().print(f"judged by {words}")
        print_summary(means(of_the_same_images(runs_table(runs), say)))
    return said_of_diverged(
        [run.spec.title for run in runs if run.result.status == "diverged"],
        num_runs=len(runs),
        listed_by=f"wider report --store {shlex.quote(str(store))}",
    )


def _judged(run: Run) -> str:
    better = "higher" if run.result.higher_is_better else "lower"
    return f"{run.result.words} ({better} is better)"
