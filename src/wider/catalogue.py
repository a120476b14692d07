"""What can be run and what it costs, told without what runs it: PyTorch takes seconds to load.

`python -m benchmarks.catalogue` writes the figures anew, and a test holds them to the experiments.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from wider.errors import InputError
from wider.registry import Registry

FILE = Path(__file__).with_name("catalogue.json")

Found = TypeVar("Found")


@dataclass(frozen=True)
class ListedScale:
    """A size at which an experiment can be run.

    Attributes:
        name: "smoke", "laptop", "gpu" or "paper".
        description: what is cut short.
        num_runs: that it has; 0 where nothing has to be trained.
        datasets: that they train on.
        gigabytes: of disk that these take; 0 where it is less than one.
        core_seconds: that all runs take together, on one core; None where nobody knows how many
            images there are.
        gpu_seconds: the same on one large GPU.
    """

    name: str
    description: str
    num_runs: int
    datasets: Sequence[str]
    gigabytes: int
    core_seconds: int | None
    gpu_seconds: int | None


@dataclass(frozen=True)
class ListedExperiment:
    """An experiment as it is listed.

    Attributes:
        title: one line.
        scales: by name, the smallest first.
    """

    title: str
    scales: Mapping[str, ListedScale]


@cache
def catalogue() -> Registry[ListedExperiment]:
    """Every experiment by its name; those of other packages, and a user's own, as they are."""
    listed: Registry[ListedExperiment] = Registry("experiment", group="wider.experiments")
    for name, each in json.loads(FILE.read_text(encoding="utf-8")).items():
        scales = {scale["name"]: ListedScale(**scale) for scale in each["scales"]}
        listed.register(name)(ListedExperiment(each["title"], scales))
    return listed


def scale_in(known: Mapping[str, Found], name: str | None, *, experiment: str) -> Found:
    """The scale of that name; without one, "laptop" or else the only one that there is.

    Args:
        known: those of an experiment.
        name: of one.
        experiment: its name.

    Raises:
        InputError: the experiment does not have it.
    """
    if name is None:
        name = next(iter(known)) if len(known) == 1 else "laptop"
    if name not in known:
        raise InputError(f"{experiment} has no scale {name!r}; use one of: {', '.join(known)}")
    return known[name]
