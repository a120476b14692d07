"""From the description of a run to its results on disk, trained only where they are missing."""

from wider.extras import need

need("study")

from wider.runs._arithmetic import (
    family_weights,
    multiply_adds_per_example,
    stored_multiply_adds_per_example,
)
from wider.runs._checkpoint_clock import CheckpointClock
from wider.runs._columns import asked, model_of, names_of
from wider.runs._cost import estimated_gpu_seconds, estimated_seconds
from wider.runs._digests import Digests
from wider.runs._execute import execute
from wider.runs._kernel import MeasuredDistances, kernel_distances, random_pairs
from wider.runs._listing import Listed, listing
from wider.runs._measurements import MEASUREMENTS, Measured, Measurement
from wider.runs._progress import Progress, duration
from wider.runs._result import BestEpoch, Provenance, RunResult, summary_of
from wider.runs._run_files import DamagedRun, Run
from wider.runs._schedule import digests_now, train_missing
from wider.runs._spec import SCHEMA_VERSION, Method, RunSpec, Widening
from wider.runs._store import Store
from wider.runs._study import Study, check_nets, read_study
from wider.runs._table import (
    ROW_VERSION,
    of_the_same_images,
    read_table,
    runs_table,
    table_of_store,
)

__all__ = [
    "MEASUREMENTS",
    "ROW_VERSION",
    "SCHEMA_VERSION",
    "BestEpoch",
    "CheckpointClock",
    "DamagedRun",
    "Digests",
    "Listed",
    "Measured",
    "MeasuredDistances",
    "Measurement",
    "Method",
    "Progress",
    "Provenance",
    "Run",
    "RunResult",
    "RunSpec",
    "Store",
    "Study",
    "Widening",
    "asked",
    "check_nets",
    "digests_now",
    "duration",
    "estimated_gpu_seconds",
    "estimated_seconds",
    "execute",
    "family_weights",
    "kernel_distances",
    "listing",
    "model_of",
    "multiply_adds_per_example",
    "names_of",
    "of_the_same_images",
    "random_pairs",
    "read_study",
    "read_table",
    "runs_table",
    "stored_multiply_adds_per_example",
    "summary_of",
    "table_of_store",
    "train_missing",
]
