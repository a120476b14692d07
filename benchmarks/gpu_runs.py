"""Runs of several experiments in one queue, those that decide most claims first.

    python benchmarks/gpu_runs.py --data-dir DIR --store STORE --known results --jobs 12

What `wider run` does for one experiment after another, without workers that wait for an
experiment's last run. With `--tables DIR` nothing is trained: what there is of each experiment is
written there, as `wider results EXPERIMENT --format csv` prints it.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from wider.errors import InputError
from wider.files import write_whole
from wider.report import merged, runs_in_results, section_of
from wider.runs import RunSpec, Store, table_of_store, train_missing
from wider.study import EXPERIMENTS
from wider.training import Precision

# Experiment, dataset, base width, method where not all of them. No claim waits for the last two
# datasets of Figures 5 and 6: the small SVHN is not the paper's, and Figure 6's claims are on
# base width 18, which is all of Figure 1.
ORDER = (
    ("figure-1", "cifar100", 18, None),
    ("figure-3", "cifar10", 8, None),
    ("figure-9", "cifar100", 8, None),
    ("figure-3", "cifar100", 8, None),
    ("figure-9", "cifar10", 8, None),
    ("figure-3", "cifar100", 18, "nonlinear_bottleneck"),
    ("allocations", "cifar10", 8, None),
    ("figure-3", "cifar10", 18, None),
    ("figure-3", "cifar100", 18, None),
    ("figure-5", "svhn_10k", 8, None),
    ("figure-6", "cifar100", 8, None),
    ("figure-6", "cifar10", 8, None),
)
NAMES = tuple(dict.fromkeys(name for name, *_ in ORDER))


@dataclass(frozen=True)
class Settings:
    """What is trained, and where.

    Attributes:
        data_dir: folder of datasets; runs without theirs are left out.
        store: folder of the runs.
        known: folder of committed tables, whose runs are not trained again.
        scale: of the experiments that have it.
        device: where to train.
        precision: of products.
        jobs: worker processes.
        tables: a folder for the tables of what there is, in place of training.
    """

    data_dir: Path
    store: Path
    known: Path
    scale: Literal["gpu", "smoke"] = "gpu"
    device: Literal["cuda", "cpu"] = "cuda"
    precision: Precision = "bfloat16"
    jobs: int = 8
    tables: Path | None = None


def wanted(scale: str) -> list[RunSpec]:
    """All runs of the experiments in `ORDER`, each once, in that order."""
    specs = {name: EXPERIMENTS.find(name).scale(scale).specs() for name in NAMES}
    first = [
        spec
        for name, dataset, base_width, method in ORDER
        for spec in specs[name]
        if (spec.data.dataset, spec.widening.base_width) == (dataset, base_width)
        and method in (None, spec.widening.method)
    ]
    return list(dict.fromkeys([*first, *(spec for name in NAMES for spec in specs[name])]))


def write_tables(settings: Settings, folder: Path) -> None:
    """Writes EXPERIMENT-SCALE.csv of each experiment that has runs."""
    found = merged(
        runs_in_results(settings.known, print), table_of_store(Store(settings.store), print)
    )
    for name in NAMES:
        experiment = EXPERIMENTS.find(name)
        section = section_of(experiment, experiment.scale(settings.scale), found)
        print(f"{name}: {len(section.table)} of {section.num_runs} runs are there", flush=True)
        if len(section.table):
            content = section.table.to_csv(index=False, lineterminator="\n")
            write_whole(folder / f"{name}-{settings.scale}.csv", content.encode())


def main(settings: Settings) -> int:
    """Trains what is missing; 2 for bad input, 3 where data were missing, 130 if interrupted."""
    if settings.tables is not None:
        write_tables(settings, settings.tables)
        return 0
    known = set(runs_in_results(settings.known)["key"])
    missing = [spec for spec in wanted(settings.scale) if spec.key not in known]
    there = [spec for spec in missing if (settings.data_dir / spec.data.dataset).is_dir()]
    absent = {spec.data.dataset for spec in missing} - {spec.data.dataset for spec in there}
    for name in sorted(absent):
        print(f"no data: {name}", flush=True)
    try:
        train_missing(
            there,
            Store(settings.store),
            data_dir=settings.data_dir,
            device=settings.device,
            precision=settings.precision,
            jobs=settings.jobs,
        )
    except InputError as error:
        print(f"gpu_runs: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 3 if absent else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Settings)))
