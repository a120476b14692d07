"""What of each experiment a store holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from wider.experiments import Experiment, Picture, Scale, runs_table
from wider.runs import Run


@dataclass(frozen=True)
class Section:
    """One experiment at one scale, as far as it has been run.

    Attributes:
        experiment: the experiment.
        scale: its scale.
        runs: those that are finished.
        num_runs: those that belong to it; none where nothing has to be trained.
    """

    experiment: Experiment
    scale: Scale
    runs: tuple[Run, ...]
    num_runs: int

    @property
    def anchor(self) -> str:
        """Names the section in links and file names."""
        return f"{self.experiment.name}-{self.scale.name}"

    @property
    def command(self) -> str:
        """What repeats it."""
        data = " --data-dir DIR" if set(self.scale.datasets) - {"digits"} else ""
        return f"wider run {self.experiment.name} --scale {self.scale.name}{data}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per run."""
        return runs_table(self.runs)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per point of the figure."""
        return self.experiment.summarise(self.table)

    @cached_property
    def pictures(self) -> list[Picture]:
        """The pictures drawn from its runs."""
        return self.experiment.draw(self.table, self.scale)


def section_of(experiment: Experiment, scale: Scale, runs: Mapping[str, Run]) -> Section:
    """An experiment at a scale, from finished runs by key."""
    specs = {spec.key: spec for spec in scale.specs()}
    found = tuple(runs[key] for key in specs if key in runs)
    return Section(experiment, scale, found, len(specs))


def sections_of(runs: Sequence[Run], experiments: Iterable[Experiment]) -> Iterator[Section]:
    """Each experiment and scale that needs no run, or that at least one of the runs belongs to."""
    by_key = {run.spec.key: run for run in runs}
    for experiment in experiments:
        for scale in experiment.scales.values():
            section = section_of(experiment, scale, by_key)
            if section.runs or not section.num_runs:
                yield section
