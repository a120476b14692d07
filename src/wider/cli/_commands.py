"""The commands. Those that train return what to say of runs that diverged, or None."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import torch
import tyro
from rich.table import Table

from wider.cli._advise import advise
from wider.cli._bench import bench
from wider.cli._output import print_data, print_experiments, print_summary, said_of_diverged
from wider.cli._runs import runs
from wider.cli._sweep import sweep
from wider.data import write_shards
from wider.errors import InputError
from wider.own_code import look_in
from wider.report import (
    Section,
    check_picture_file,
    merged,
    runs_in_results,
    runs_in_store,
    section_of,
    write_page,
    write_picture_files,
    write_pictures,
)
from wider.runs import Run, RunSpec, Store, digests_now, train_missing
from wider.study import EXPERIMENTS, find, runs_table, table_of_store
from wider.text import console, say
from wider.training import Precision, is_first_process

ExperimentName = Annotated[str, tyro.conf.Positional]
"""An experiment's name."""

DatasetName = Annotated[str, tyro.conf.Positional]
"""A dataset's name."""


def demo(
    store: Path = Path("demo-runs"), output: Path = Path("demo-report.html"), jobs: int = 1
) -> str | None:
    """One minute: a sparse family of nets and its dense control on 8x8 digits, table and page.

    Args:
        store: folder of the runs.
        output: the page to write.
        jobs: worker processes; to start one takes as long as to train the nets.
    """
    section = _run("demo", "laptop", Store(store), data_dir=None, device="cpu", jobs=jobs)
    print_summary(section.summary)
    write_page(runs_in_store(store), output, experiments=[find("demo")])
    say(section.pictures[0].caption)
    say(f"page written to {output}")
    return _diverged(section, store)


def experiments() -> None:
    """What can be run, what it needs, and what it costs at each scale."""
    print_experiments(EXPERIMENTS.values())


def run(
    experiment: ExperimentName,
    *,
    scale: str | None = None,
    store: Path = Path("runs"),
    data_dir: Path | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    precision: Precision = "float32",
    jobs: int = 1,
    executor: str | None = None,
    address: str | None = None,
    datasets: tuple[str, ...] = (),
    known: Path | None = None,
    picture: Path | None = None,
) -> str | None:
    """Trains what the store lacks of an experiment and prints its results.

    Args:
        experiment: its name; `wider experiments` lists them.
        scale: smoke, laptop, gpu or paper; laptop by default, or the only one that there is.
        store: folder of the runs; the same one can serve all experiments.
        data_dir: folder of datasets, each in the Hugging Face layout (mnist/train.parquet);
            without it they are fetched from the Hugging Face hub.
        device: where to train.
        precision: of products; bfloat16 is faster on a GPU, and the weights stay float32.
        jobs: runs at a time; with more than one, each computes on one thread. Under torchrun, 1.
        executor: that runs them: serial (this process), processes (of this machine), ray, slurm; by
            default processes where there are several jobs, else serial.
        address: of Ray, HOST:PORT of its head, or auto; without it a Ray is started here. Of SLURM,
            the partition.
        datasets: those of the experiment to train on, if not all.
        known: folder of tables that `wider results --format csv` wrote; runs that they have are not
            trained again.
        picture: a PNG, SVG, PDF or HTML file for the picture; where there are several, each has its
            name added.
    """
    if picture is not None:
        check_picture_file(picture)  # before anything is trained: that takes a while
    where = {
        "data_dir": data_dir,
        "device": device,
        "precision": precision,
        "jobs": jobs,
        "executor": executor,
        "address": address,
    }
    section = _run(experiment, scale, Store(store), datasets, known, **where)
    if is_first_process():
        print_summary(section.summary)
        for drawn in section.pictures:
            say(drawn.caption)
        if picture is not None:
            for path in write_picture_files(section.pictures, picture):
                say(f"picture written to {path}")
        if section.num_runs:
            say(f"all of it as a page: wider report --store {shlex.quote(str(store))}")
        elif picture is None:
            say(f"to see it: wider run {experiment} --picture FILE")
    return _diverged(section, store)


def results(
    experiment: ExperimentName,
    *,
    scale: str | None = None,
    store: Path = Path("runs"),
    known: Path | None = None,
    format: Literal["table", "json", "csv"] = "table",  # noqa: A002 - the name of the flag
) -> None:
    """Prints the results of an experiment that are in a store, without training anything.

    Args:
        experiment: its name.
        scale: smoke, laptop, gpu or paper; laptop by default, or the only one that there is.
        store: folder of the runs.
        known: folder of tables whose runs count, too; see `wider run --help`.
        format: table shows means over seeds; json and csv give every run with its provenance, or
            the table where nothing is run.
    """
    section = _finished(experiment, scale, store, known)
    if len(section.table) < section.num_runs:
        say(f"{len(section.table)} of {section.num_runs} runs are there")
    every = section.table if section.num_runs else section.summary
    if format == "csv":
        print_data(every.to_csv(index=False, lineterminator="\n"))
    elif format == "json":
        print_data(every.to_json(orient="records", indent=1, double_precision=15) + "\n")
    else:
        print_summary(section.summary)


def report(
    store: Path = Path("runs"),
    output: Path = Path("report.html"),
    pictures: Path | None = None,
    results: Path | None = None,
) -> None:
    """Writes all that a store holds as one page that works offline.

    Args:
        store: folder of the runs.
        output: the page to write.
        pictures: a folder for the same charts as PDF, PNG and SVG.
        results: instead of a store, a folder of tables that `wider results --format csv` wrote,
            each named EXPERIMENT-SCALE.csv.
    """
    # What is computed is small: a second thread would mostly wait for the first.
    torch.set_num_threads(1)
    table = runs_in_store(store, say) if results is None else runs_in_results(results, say)
    sections = write_page(table, output)
    say(f"page written to {output}")
    if pictures is not None:
        for path in write_pictures(sections, pictures):
            say(f"picture written to {path}")


def train(
    spec: Annotated[RunSpec, tyro.conf.arg(name="")],
    store: Path = Path("runs"),
    data_dir: Path | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    precision: Precision = "float32",
) -> str | None:
    """Trains one net, or finds it in the store; every field of its spec is a flag. Code of your own
    (MODULE:NAME) is found in the working folder, too.

    Args:
        spec: the run.
        store: folder of the runs.
        data_dir: folder of datasets; see `wider run --help`.
        device: where to train.
        precision: of products; see `wider run --help`.
    """
    look_in(Path())
    opened = Store(store)
    (run,) = train_missing([spec], opened, data_dir=data_dir, device=device, precision=precision)
    if is_first_process():
        _print_run(run, opened.folder(spec))
    return said_of_diverged(
        [spec.title] if run.result.status == "diverged" else [],
        num_runs=1,
        listed_by=f"wider report --store {shlex.quote(str(store))}",
    )


def prepare(
    name: DatasetName, *, output: Path, data_dir: Path | None = None, jobs: int = 1
) -> None:
    """Gets a dataset of large images, such as imagenet, ready for training; interrupted, the same
    command goes on where it was.

    Args:
        name: imagenet, a name on the Hugging Face hub, or a folder in the data folder.
        output: folder in which a folder of that name is made; it is the --data-dir for training.
        data_dir: folder of the original images, as NAME/train/CLASS/IMAGE and NAME/test/CLASS/IMAGE
            (or val) or in the Hugging Face layout; without it they are fetched from the hub.
        jobs: worker processes.
    """
    index = write_shards(name, output, data_dir=data_dir, jobs=jobs)
    for split, count in index.counts.items():
        say(f"{split}: {count:,} images of {len(index.classes):,} classes")
    if index.skipped:
        say(f"{len(index.skipped)} images cannot be decoded and are left out; see index.json")
    say(f"prepared in {output / name}; train with --data-dir {output} and an image size")


COMMANDS = {
    "demo": demo,
    "experiments": experiments,
    "run": run,
    "results": results,
    "runs": runs,
    "report": report,
    "train": train,
    "sweep": sweep,
    "advise": advise,
    "prepare": prepare,
    "bench": bench,
}


def _run(
    name: str,
    scale_name: str | None,
    store: Store,
    datasets: tuple[str, ...] = (),
    known: Path | None = None,
    **where: Any,
) -> Section:
    experiment = find(name)
    scale = experiment.scale(scale_name)
    if unknown := sorted(set(datasets) - set(scale.datasets)):
        raise InputError(
            f"{name} at scale {scale.name} has no dataset {', '.join(unknown)}; it has: "
            f"{', '.join(scale.datasets) or 'none'}"
        )
    wanted = [spec for spec in scale.specs() if spec.data.dataset in (datasets or scale.datasets)]
    there = _of_data_now(_known_runs(known), wanted, where["data_dir"])
    missing = [spec for spec in wanted if spec.key not in set(there.get("key", []))]
    trained = runs_table(train_missing(missing, store, **where))
    return section_of(experiment, scale, merged(there, trained, say=say))


def _of_data_now(
    table: pd.DataFrame, specs: Sequence[RunSpec], data_dir: Path | None
) -> pd.DataFrame:
    """Without the runs whose data were others than they are now, of those that are wanted."""
    if "data_digest" not in table:
        return table
    told = table.dropna(subset="data_digest")
    before = dict(zip(told["key"], told["data_digest"], strict=True))
    known = [spec for spec in specs if spec.key in before]
    digests = digests_now(known, data_dir=data_dir)
    others = [
        spec.key
        for spec in known
        if (now := digests[spec].data) and not now.startswith(before[spec.key])
    ]
    if others:
        say(f"{len(others)} known runs are trained anew: their data were others than they are now")
    return table[~table["key"].isin(others)]


def _finished(name: str, scale_name: str | None, store: Path, known: Path | None) -> Section:
    experiment = find(name)
    scale = experiment.scale(scale_name)
    if not scale.specs():
        return section_of(experiment, scale, runs_table([]))
    if known is None:
        found = runs_in_store(store, say)
    else:
        found = merged(_known_runs(known), table_of_store(Store(store), say), say=say)
    section = section_of(experiment, scale, found)
    if section.table.empty:
        raise InputError(
            f"the store {str(store)!r} holds no run of {name} at scale {scale.name}: train them "
            f"with `wider run {name} --scale {scale.name} --store {store}`"
        )
    return section


def _known_runs(folder: Path | None) -> pd.DataFrame:
    return runs_table([]) if folder is None else runs_in_results(folder, say)


def _diverged(section: Section, store: Path) -> str | None:
    if not section.num_runs:
        return None
    keys = set(section.table.loc[section.table["status"] == "diverged", "key"])
    name, scale = section.experiment.name, section.scale
    return said_of_diverged(
        [spec.title for spec in scale.specs() if spec.key in keys],
        num_runs=len(section.table),
        listed_by=f"wider results {name} --scale {scale.name} --store {shlex.quote(str(store))} "
        "--format csv",
    )


def _print_run(run: Run, folder: Path) -> None:
    result = run.result
    table = Table(title=run.spec.title, show_header=False)
    table.add_row("status", result.status)
    table.add_row("weights", f"{result.num_weights:,}")
    table.add_row("connectivity", f"{result.connectivity['']:.4g}")
    judged, best = f"test {result.words}", result.best_test
    table.add_row(f"{judged}, last epoch", result.told(result.final))
    table.add_row(f"{judged}, best epoch ({best.epoch})", result.told(best))
    if validated := result.best_validation:
        label = f"{judged}, best validated epoch ({validated.epoch})"
        table.add_row(label, result.told(validated))
    table.add_row("seconds", f"{result.seconds:.1f}")
    table.add_row("folder", str(folder))
    console().print(table, soft_wrap=True)
