"""What of each experiment a table of runs holds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
from altair.utils.schemapi import debug_mode

from wider.report._interactive import shows_something
from wider.study import Experiment, Picture, Scale


@dataclass(frozen=True, eq=False)
class Section:
    """One experiment at one scale, as far as it has been run.

    Attributes:
        experiment: the experiment.
        scale: its scale.
        table: its finished runs, one row each (see `runs_table`).
        num_runs: those that belong to it; none where nothing has to be trained.
    """

    experiment: Experiment
    scale: Scale
    table: pd.DataFrame
    num_runs: int

    @property
    def anchor(self) -> str:
        """Names the section in links and file names."""
        return f"{self.experiment.name}-{self.scale.name}"

    @property
    def label(self) -> str:
        """The experiment's name in words, such as "Figure 4"."""
        return self.experiment.name.replace("-", " ").capitalize()

    @property
    def is_complete(self) -> bool:
        """Whether all of its runs are there."""
        return len(self.table) == self.num_runs

    @property
    def command(self) -> str:
        """What repeats it."""
        data = " --data-dir DIR" if set(self.scale.datasets) - {"digits"} else ""
        return f"wider run {self.experiment.name} --scale {self.scale.name}{data}"

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per point of the figure."""
        return self.experiment.summarise(self.table)

    @cached_property
    def pictures(self) -> list[Picture]:
        """The pictures drawn from its runs; those that too few runs leave empty are left out."""
        # Checking charts takes longer than drawing them, and tests do.
        with debug_mode(False):
            drawn = self.experiment.draw(self.table, self.scale)
        return [picture for picture in drawn if shows_something(picture.chart)]


def section_of(experiment: Experiment, scale: Scale, runs: pd.DataFrame) -> Section:
    """An experiment at a scale, from a table of runs, its own and any others."""
    keys = scale.keys
    if runs.empty:
        return Section(experiment, scale, runs, len(keys))
    places = pd.Index(runs["key"]).get_indexer(pd.Index(keys, dtype="str"))
    found = runs.take(places[places >= 0]).reset_index(drop=True)
    return Section(experiment, scale, found, len(keys))


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
