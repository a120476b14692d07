"""The sections of a page: what of each experiment, and of what else, a table of runs holds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
from altair.utils.schemapi import debug_mode

from wider.report._interactive import shows_something
from wider.study import EXPERIMENTS, Experiment, OwnStudy, Picture, Scale, own_studies


@dataclass(frozen=True, eq=False)
class Section:
    """Runs, and what they show.

    Attributes:
        name: such as "figure-4".
        title: one line.
        question: what it answers.
        source: where it comes from.
        scale_name: such as "laptop".
        scale_says: what is cut short, in a few words.
        command: what repeats it.
        table: its finished runs, one row each (see `runs_table`).
        num_runs: those that belong to it; none where nothing has to be trained.
        summarise: gives one row per point of the figure.
        draw: gives its pictures.
        paper: numbers to be held beside, as an experiment has them; empty where there are none.
    """

    name: str
    title: str
    question: str
    source: str
    scale_name: str
    scale_says: str
    command: str
    table: pd.DataFrame
    num_runs: int
    summarise: Callable[[], pd.DataFrame]
    draw: Callable[[], list[Picture]]
    paper: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def anchor(self) -> str:
        """Names the section in links and file names."""
        return f"{self.name}-{self.scale_name}"

    @property
    def label(self) -> str:
        """The name in words, such as "Figure 4"."""
        return self.name.replace("-", " ").capitalize()

    @property
    def scale_label(self) -> str:
        """Name and description of the scale."""
        return f"scale {self.scale_name}: {self.scale_says}"

    @property
    def is_complete(self) -> bool:
        """Whether all of its runs are there."""
        return len(self.table) == self.num_runs

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per point of the figure."""
        return self.summarise()

    @cached_property
    def pictures(self) -> list[Picture]:
        """The pictures drawn from its runs; those that too few runs leave empty are left out."""
        # Checking charts takes longer than drawing them, and tests do.
        with debug_mode(False):
            drawn = self.draw()
        return [picture for picture in drawn if shows_something(picture.chart)]


def section_of(experiment: Experiment, scale: Scale, runs: pd.DataFrame) -> Section:
    """An experiment at a scale, from a table of runs, its own and any others."""
    keys = scale.keys
    table = runs
    if len(runs):
        places = pd.Index(runs["key"]).get_indexer(pd.Index(keys, dtype="str"))
        table = runs.take(places[places >= 0]).reset_index(drop=True)
    return Section(
        name=experiment.name,
        title=experiment.title,
        question=experiment.question,
        source=experiment.source,
        scale_name=scale.name,
        scale_says=scale.description,
        command=f"wider run {experiment.name} --scale {scale.name}{_data(scale.datasets)}",
        table=table,
        num_runs=len(keys),
        summarise=lambda: experiment.summarise(table),
        draw=lambda: experiment.draw(table, scale),
        paper=experiment.paper,
    )


def own_sections(runs: pd.DataFrame) -> Iterator[Section]:
    """A section for each family with runs that belong to no experiment."""
    return map(_section_of_study, own_studies(runs, EXPERIMENTS))


def _section_of_study(study: OwnStudy) -> Section:
    return Section(
        name=study.name,
        title=study.title,
        question=study.question,
        source="Runs that belong to no experiment of wider's own",
        scale_name="own",
        scale_says=study.seeds,
        # The study's file has a name of its own.
        command=f"wider sweep STUDY.toml{_data(study.table['dataset'])}",
        table=study.table,
        num_runs=len(study.table),
        summarise=lambda: study.means,
        draw=study.draw,
    )


def _data(datasets: Iterable[str]) -> str:
    """The flag that a command needs for data that are not at hand."""
    return " --data-dir DIR" if set(datasets) - {"digits"} else ""


def sections_of(runs: pd.DataFrame, experiments: Iterable[Experiment]) -> Iterator[Section]:
    """Each experiment and scale that needs no run, is complete, or has been begun.

    Of an experiment the largest scale comes first, which says the most.
    Experiments share runs. One that lacks some, and whose others all belong to a single complete
    one, has not been begun: all of it is seen there.
    """
    every = (
        section_of(experiment, scale, runs)
        for experiment in experiments
        for scale in reversed(list(experiment.scales.values()))
    )
    sections = [section for section in every if section.is_complete or len(section.table)]
    complete = [
        set(section.table["key"])
        for section in sections
        if section.is_complete and section.num_runs
    ]
    for section in sections:
        if section.is_complete or not any(set(section.table["key"]) <= keys for keys in complete):
            yield section
