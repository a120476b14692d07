"""Flags that say where a command trains: the same for all that train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from wider.fields import Precision


@dataclass(frozen=True)
class Here:
    """One run, in this process."""

    data_dir: Path | None = None
    """Folder of datasets, each in the Hugging Face layout (mnist/train.parquet); without it they
    are fetched from the Hugging Face hub."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where to train."""

    precision: Precision = "float32"
    """Of all products; bfloat16 is faster on a GPU, and the weights stay float32."""

    @property
    def keywords(self) -> dict[str, Any]:
        """As `wider.runs.train_missing` takes them."""
        return vars(self)


@dataclass(frozen=True)
class Anywhere(Here):
    """Many runs, several at a time, by an executor."""

    jobs: int = 1
    """Runs at a time; with more than one, each computes on one thread. Under torchrun, 1."""

    executor: str | None = None
    """What runs them: serial (this process), processes (of this machine), ray, slurm; by default
    processes where there are several jobs, else serial."""

    address: str | None = None
    """Of Ray, HOST:PORT of its head, or auto; without it a Ray is started here. Of SLURM, the
    partition."""


WITHOUT_PREFIX: Any = tyro.conf.arg(name="")
TrainsHere = Annotated[Here, WITHOUT_PREFIX]
TrainsAnywhere = Annotated[Anywhere, WITHOUT_PREFIX]
