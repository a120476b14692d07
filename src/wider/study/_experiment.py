"""What an experiment is: a set of runs and the pictures drawn from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from wider.catalogue import scale_in
from wider.drawing import Drawing
from wider.evidence import Claim
from wider.runs import RunSpec


@dataclass(frozen=True)
class Scale:
    """A size at which an experiment can be run.

    Attributes:
        name: "smoke", "laptop", "gpu" or "paper".
        description: what is cut short, in a few words; written on every picture.
        specs: makes the runs, the most telling first; none where nothing has to be trained.
    """

    name: str
    description: str
    specs: Callable[[], Sequence[RunSpec]]

    @property
    def label(self) -> str:
        """Name and description, for pictures."""
        return f"scale {self.name}: {self.description}"

    @cached_property
    def by_key(self) -> Mapping[str, RunSpec]:
        """Its runs, each once."""
        return {spec.key: spec for spec in self.specs()}

    @property
    def keys(self) -> tuple[str, ...]:
        """Of its runs."""
        return tuple(self.by_key)

    @cached_property
    def datasets(self) -> list[str]:
        """What the runs train on."""
        return sorted({spec.data.dataset for spec in self.by_key.values()})


@dataclass(frozen=True)
class Picture:
    """A chart and what is seen on it.

    Attributes:
        name: of its files, without the ending.
        chart: the chart.
        caption: one or two sentences with the numbers that matter; also its text alternative.
    """

    name: str
    chart: Drawing
    caption: str


@dataclass(frozen=True, eq=False)
class Experiment:
    """One figure or table: its runs at each scale, and how their results are shown.

    Attributes:
        name: such as "figure-4".
        title: one line.
        question: what it answers, in a sentence or two.
        source: where it comes from.
        scales: {name: scale}, the smallest first.
        summarise: from the table of runs (see `runs_table`) to one row per point of the figure.
        draw: from the same table and a scale to pictures.
        claims: sentences of the paper that its runs check.
        paper: best-epoch accuracies that the paper prints, in the column `paper.IN_PAPER`, and
            columns by which `summarise` names the same nets; empty where it prints none.
    """

    name: str
    title: str
    question: str
    source: str
    scales: Mapping[str, Scale]
    summarise: Callable[[pd.DataFrame], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Scale], list[Picture]]
    claims: tuple[Claim, ...] = ()
    paper: pd.DataFrame = field(default_factory=pd.DataFrame)

    def scale(self, name: str | None = None) -> Scale:
        """The scale of that name; without one, "laptop" or else the only one that there is.

        Raises:
            InputError: the experiment does not have it.
        """
        return scale_in(self.scales, name, experiment=self.name)
