"""From the description of a run to its results on disk, trained only where they are missing."""

from wider.extras import need

need("study")

from wider.runs._arithmetic import family_weights, multiply_adds_per_example
from wider.runs._cost import estimated_gpu_seconds, estimated_seconds
from wider.runs._execute import execute
from wider.runs._listing import Listed, listing
from wider.runs._measurements import MEASUREMENTS, Measured, Measurement
from wider.runs._progress import duration
from wider.runs._result import BestEpoch, Provenance, RunResult
from wider.runs._run_files import DamagedRun, Run
from wider.runs._schedule import digests_now, train_missing
from wider.runs._spec import Method, RunSpec, Widening
from wider.runs._store import Store
from wider.runs._study import Study, check_nets, read_study

__all__ = [
    "MEASUREMENTS",
    "BestEpoch",
    "DamagedRun",
    "Listed",
    "Measured",
    "Measurement",
    "Method",
    "Provenance",
    "Run",
    "RunResult",
    "RunSpec",
    "Store",
    "Study",
    "Widening",
    "check_nets",
    "digests_now",
    "duration",
    "estimated_gpu_seconds",
    "estimated_seconds",
    "execute",
    "family_weights",
    "listing",
    "multiply_adds_per_example",
    "read_study",
    "train_missing",
]
