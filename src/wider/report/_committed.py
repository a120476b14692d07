"""The runs that this project committed, as they come with the package."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from wider.errors import InputError
from wider.report._sections import Section, sections_of
from wider.report._sources import runs_in_results
from wider.study import EXPERIMENTS, ExperimentVerdict, Picture, Scale, verdicts

_PACKAGE = Path(__file__).parents[1]
# In a wheel; in a clone.
FOLDERS = (_PACKAGE / "results", _PACKAGE.parents[1] / "results")


@dataclass(frozen=True, eq=False)
class CommittedStudy:
    """An experiment with the runs of it that were committed.

    Attributes:
        name: of the experiment, such as "figure-4".
        title: one line.
        question: what it answers.
        scale: at which it was run; its label stands on every picture.
        num_runs: that belong to it at this scale. The table may have fewer.
        table: its runs, one row each, with what was asked for, what came out, and where it comes
            from (see `wider.runs.runs_table`). Accuracies are fractions.
        summary: one row per point of the figure, means over seeds.
        draw: gives its pictures, each with its `chart` and its `caption`; those that too few runs
            leave empty are left out.
        verdicts: on the claims of the paper that its runs check, corrected for all that are
            checked by all experiments.
    """

    name: str
    title: str
    question: str
    scale: Scale
    num_runs: int
    table: pd.DataFrame
    summary: pd.DataFrame
    draw: Callable[[], list[Picture]]
    verdicts: list[ExperimentVerdict]


def open_study(name: str, scale: str | None = None) -> CommittedStudy:
    """The committed results of an experiment: nothing is trained, and nothing is fetched.

    Args:
        name: of the experiment, such as "figure-4"; `wider experiments` lists them.
        scale: "laptop", "gpu" or "paper"; the largest that was run by default.

    Returns:
        Its table, its pictures and its verdicts. Verdicts are by the largest scale that can give
        one, whichever scale is named.

    Raises:
        InputError: there is no such experiment or scale, or no run of it was committed.

    Example:
        >>> study = wider.open_study("figure-4")
        >>> len(study.table)
        514
        >>> study.draw()[0].chart.save("figure-4.html")
        >>> [verdict.outcome for verdict in study.verdicts]
    """
    experiment = EXPERIMENTS.find(name)
    wanted = None if scale is None else experiment.scale(scale).name
    sections = {each.scale_name: each for each in _sections() if each.name == name}
    if wanted is None and sections:
        return _opened(next(iter(sections.values())))
    if wanted not in sections:
        others = f"open one of {', '.join(sections)}" if sections else "train some with `wider run`"
        at = "" if wanted is None else f" at scale {wanted}"
        raise InputError(f"no run of {name}{at} was committed: {others}")
    return _opened(sections[wanted])


def _opened(section: Section) -> CommittedStudy:
    return CommittedStudy(
        name=section.name,
        title=section.title,
        question=section.question,
        scale=EXPERIMENTS[section.name].scales[section.scale_name],
        num_runs=section.num_runs,
        # Copies, since sections are kept: what is done to one does not reach the next.
        table=section.table.copy(),
        summary=section.summary.copy(),
        draw=lambda: list(section.pictures),
        verdicts=[each for each in _verdicts() if each.experiment.name == section.name],
    )


@cache
def _runs() -> pd.DataFrame:
    return runs_in_results(next((path for path in FOLDERS if path.is_dir()), FOLDERS[0]))


@cache
def _sections() -> list[Section]:
    return list(sections_of(_runs(), EXPERIMENTS.values()))


@cache
def _verdicts() -> list[ExperimentVerdict]:
    return verdicts(_runs(), EXPERIMENTS)
