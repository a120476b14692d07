"""What of a table of runs belongs to no experiment."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from wider.report._sections import Section
from wider.study import EXPERIMENTS, families, own_study, same_lines


@dataclass(frozen=True, eq=False)
class OwnSection(Section):
    """Runs of one family that belong to no experiment: a user's own study."""

    @property
    def command(self) -> str:
        """What repeats it: the study's file has its own name."""
        data = " --data-dir DIR" if set(self.table["dataset"]) - {"digits"} else ""
        return f"wider sweep STUDY.toml{data}"


def own_sections(runs: pd.DataFrame) -> Iterator[Section]:
    """A section for each family with runs that belong to no experiment.

    Args:
        runs: one row each. Those of experiments that continue a line of such runs, or are its
            baseline, are shown with them.
    """
    known = {
        key
        for experiment in EXPERIMENTS.values()
        for scale in experiment.scales.values()
        for key in scale.keys
    }
    own = runs[~runs["key"].isin(known)]
    for number, table in enumerate(families(same_lines(runs, own)), start=1):
        experiment = own_study(table, f"study-{number}")
        yield OwnSection(experiment, experiment.scale(), table, len(table))
