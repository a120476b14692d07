"""The commands. Those that train return what to say of runs that diverged, or None.

Help and refusals come at once: rooms that take seconds to load are touched as `wider.ROOM`, in the
commands' bodies and in the types of flags that have to know them.
"""

import gc
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.table import Table

import wider
from wider.catalogue import ListedExperiment, catalogue, scale_in
from wider.cli._advise import advise
from wider.cli._bench import bench
from wider.cli._output import print_data, print_experiments, print_summary, said_of_diverged
from wider.cli._runs import runs
from wider.cli._sweep import sweep
from wider.cli._where import WITHOUT_PREFIX, Anywhere, TrainsAnywhere, TrainsHere
from wider.console import console, say
from wider.errors import InputError
from wider.own_code import look_in

if TYPE_CHECKING:
    import pandas as pd

    from wider.report import Section
    from wider.runs import Run, RunSpec

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
    section = _run("demo", "laptop", store, where=Anywhere(jobs=jobs))
    print_summary(section.summary)
    found = wider.report.runs_in_store(store)
    wider.report.write_page(found, output, experiments=[wider.study.EXPERIMENTS["demo"]])
    say(section.pictures[0].caption)
    say(f"page written to {output}")
    return _diverged(section, store, "demo")


def experiments() -> None:
    """What can be run, what it needs, and what it costs at each scale."""
    print_experiments(
        {
            # Those of other packages cost what they say.
            name: each if isinstance(each, ListedExperiment) else wider.study.as_listed(each)
            for name, each in catalogue().items()
        }
    )


def run(
    experiment: ExperimentName,
    *,
    where: TrainsAnywhere,
    scale: str | None = None,
    store: Path = Path("runs"),
    datasets: tuple[str, ...] = (),
    known: Path | None = None,
    picture: Path | None = None,
) -> str | None:
    """Trains what the store lacks of an experiment and prints its results.

    Args:
        experiment: its name; `wider experiments` lists them. MODULE:NAME for one of your own, which
            is found in the working folder, too.
        where: the runs are trained.
        scale: smoke, laptop, gpu or paper; laptop by default, or the only one that there is.
        store: folder of the runs; the same one can serve all experiments.
        datasets: those of the experiment to train on, if not all.
        known: folder of tables that `wider results --format csv` wrote; runs that they have are not
            trained again.
        picture: a PNG, SVG, PDF or HTML file for the picture; where there are several, each has its
            name added.
    """
    look_in(Path())
    _check_asked(experiment, scale, datasets)
    if picture is not None:
        wider.report.check_picture_file(picture)  # before anything is trained: that takes a while
    section = _run(experiment, scale, store, where=where, datasets=datasets, known=known)
    if wider.training.is_first_process():
        print_summary(section.summary)
        for drawn in section.pictures:
            say(drawn.caption)
        if picture is not None:
            for path in wider.report.write_picture_files(section.pictures, picture):
                say(f"picture written to {path}")
        if section.num_runs:
            say(f"all of it as a page: wider report --store {shlex.quote(str(store))}")
        elif picture is None:
            say(f"to see it: wider run {experiment} --picture FILE")
    return _diverged(section, store, experiment)


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
    look_in(Path())
    _check_asked(experiment, scale)
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
    page = wider.report
    # What has been imported stays: the collector need not go through it again and again. And what
    # is computed is small: a second thread would mostly wait for the first.
    gc.freeze()
    with wider.bench.torch_threads(1):
        if results is None:
            table = page.runs_in_store(store, say)
        else:
            table = page.runs_in_results(results, say)
        sections = page.write_page(table, output)
        say(f"page written to {output}")
        if pictures is not None:
            for path in page.write_pictures(sections, pictures):
                say(f"picture written to {path}")


def train(
    spec: Annotated["wider.runs.RunSpec", WITHOUT_PREFIX],
    *,
    where: TrainsHere,
    store: Path = Path("runs"),
) -> str | None:
    """Trains one net, or finds it in the store; every field of its spec is a flag. Code of your own
    (MODULE:NAME) is found in the working folder, too.

    Args:
        spec: the run.
        where: the run is trained.
        store: folder of the runs.
    """
    look_in(Path())
    opened = wider.runs.Store(store)
    (run,) = wider.runs.train_missing([spec], opened, **where.keywords)
    if wider.training.is_first_process():
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
    index = wider.data.write_shards(name, output, data_dir=data_dir, jobs=jobs)
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


def _check_asked(name: str, scale_name: str | None, datasets: Sequence[str] = ()) -> None:
    """Refuses what there is not, before anything is loaded."""
    # Where the experiments are loaded, there may be more of them than are listed.
    known = wider.study.EXPERIMENTS if "wider.study" in sys.modules else catalogue()
    scale = scale_in(_scales(known.find(name), name), scale_name, experiment=name)
    if unknown := sorted(set(datasets) - set(scale.datasets)):
        raise InputError(
            f"{name} at scale {scale.name} has no dataset {', '.join(unknown)}; it has: "
            f"{', '.join(scale.datasets) or 'none'}"
        )


def _scales(found: object, name: str) -> Mapping[str, Any]:
    if not isinstance(found, ListedExperiment) and not isinstance(found, wider.study.Experiment):
        raise InputError(f"{name} is {found!r}: name an Experiment of wider.study")
    return found.scales


def _run(
    name: str,
    scale_name: str | None,
    store: Path,
    *,
    where: Anywhere,
    datasets: Sequence[str] = (),
    known: Path | None = None,
) -> "Section":
    opened = wider.runs.Store(store)
    experiment = wider.study.EXPERIMENTS.find(name)
    scale = experiment.scale(scale_name)
    datasets = datasets or scale.datasets
    wanted = [spec for spec in scale.by_key.values() if spec.data.dataset in datasets]
    there = _of_data_now(_known_runs(known), wanted, where.data_dir)
    missing = [spec for spec in wanted if spec.key not in set(there.get("key", []))]
    trained = wider.runs.runs_table(wider.runs.train_missing(missing, opened, **where.keywords))
    return wider.report.section_of(experiment, scale, wider.report.merged(there, trained, say=say))


def _of_data_now(
    table: "pd.DataFrame", specs: Sequence["RunSpec"], data_dir: Path | None
) -> "pd.DataFrame":
    """Without the runs whose data were others than they are now, of those that are wanted."""
    if "data_digest" not in table:
        return table
    told = table.dropna(subset="data_digest")
    before = dict(zip(told["key"], told["data_digest"], strict=True))
    known = [spec for spec in specs if spec.key in before]
    digests = wider.runs.digests_now(known, data_dir=data_dir)
    others = [
        spec.key
        for spec in known
        if (now := digests[spec].data) and not now.startswith(before[spec.key])
    ]
    if others:
        say(f"{len(others)} known runs are trained anew: their data were others than they are now")
    return table[~table["key"].isin(others)]


def _finished(name: str, scale_name: str | None, store: Path, known: Path | None) -> "Section":
    experiment = wider.study.EXPERIMENTS.find(name)
    scale = experiment.scale(scale_name)
    if not scale.by_key:
        return wider.report.section_of(experiment, scale, wider.runs.runs_table([]))
    if known is None:
        found = wider.report.runs_in_store(store, say)
    else:
        in_store = wider.runs.table_of_store(wider.runs.Store(store), say)
        found = wider.report.merged(_known_runs(known), in_store, say=say)
    section = wider.report.section_of(experiment, scale, found)
    if section.table.empty:
        raise InputError(
            f"the store {str(store)!r} holds no run of {name} at scale {scale.name}: train them "
            f"with `wider run {name} --scale {scale.name} --store {store}`"
        )
    return section


def _known_runs(folder: Path | None) -> "pd.DataFrame":
    if folder is None:
        return wider.runs.runs_table([])
    return wider.report.runs_in_results(folder, say)


def _diverged(section: "Section", store: Path, name: str) -> str | None:
    if not section.num_runs:
        return None
    keys = set(section.table.loc[section.table["status"] == "diverged", "key"])
    scale = wider.study.EXPERIMENTS.find(name).scale(section.scale_name)
    return said_of_diverged(
        [spec.title for key, spec in scale.by_key.items() if key in keys],
        num_runs=len(section.table),
        listed_by=f"wider results {name} --scale {scale.name} --store {shlex.quote(str(store))} "
        "--format csv",
    )


def _print_run(run: "Run", folder: Path) -> None:
    result = run.result
    table = Table(title=run.spec.title, show_header=False)
    table.add_row("status", result.status)
    table.add_row("weights", f"{result.num_weights:,}")
    table.add_row("connectivity", f"{result.connectivity['']:.4g}")
    metric, best = f"test {result.words}", result.best_test
    table.add_row(f"{metric}, last epoch", result.told(result.final))
    table.add_row(f"{metric}, best epoch ({best.epoch})", result.told(best))
    if validated := result.best_validation:
        label = f"{metric}, best validated epoch ({validated.epoch})"
        table.add_row(label, result.told(validated))
    table.add_row("seconds", f"{result.seconds:.1f}")
    console().print(table)
    console().print(f"folder: {folder}", soft_wrap=True)
