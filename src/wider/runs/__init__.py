"""From the description of a run to its results on disk, trained only where they are missing."""

from wider.runs._cost import estimated_seconds
from wider.runs._execute import execute
from wider.runs._result import BestEpoch, Provenance, RunResult
from wider.runs._schedule import train_missing
from wider.runs._spec import Method, ModelSpec, RunSpec, Widening
from wider.runs._store import DamagedRun, Run, Store

__all__ = [
    "BestEpoch",
    "DamagedRun",
    "Method",
    "ModelSpec",
    "Provenance",
    "Run",
    "RunResult",
    "RunSpec",
    "Store",
    "Widening",
    "estimated_seconds",
    "execute",
    "train_missing",
]
