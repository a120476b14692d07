"""SLURM: tasks as job arrays of a cluster whose machines share a disk."""

import shutil
import signal
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wider.errors import InputError
from wider.executors._executor import (
    EXECUTORS,
    GOES_ON,
    ONE_THREAD,
    Executor,
    LostWorkerError,
    Result,
    Task,
    answer,
    opened,
    packed,
)
from wider.extras import imported

LONGEST_ARRAY = 1000  # tasks; SLURM's MaxArraySize is 1001 unless a cluster sets another
POLL_SECONDS = 1.0  # between looks for results, which are files


@EXECUTORS.register("slurm")
class Slurm(Executor):
    """Jobs of SLURM, each on one processor, and with one GPU where it needs one.

    The address is a partition; without one it is the cluster's default. What else a cluster asks
    for, such as a time limit or an account, SLURM itself reads from variables of the environment
    (SBATCH_TIMELIMIT, SBATCH_ACCOUNT, ...).
    """

    has_address = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _submitit()
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise InputError(
                "there is no SLURM here (no sbatch and srun): run this where its jobs are "
                "submitted, or use another executor"
            )

    @property
    def is_here(self) -> bool:
        """See `Executor`."""
        return False

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[Result, None, None]:
        """See `Executor`."""
        waiting = iter(tasks)
        while some := list(islice(waiting, LONGEST_ARRAY)):
            yield from self._array([packed(function, task) for task in some])

    def _array(self, messages: Sequence[bytes]) -> Generator[Any, None, None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Jobs that are cancelled may still write there.
        with TemporaryDirectory(
            dir=self.folder.absolute(), prefix="slurm-", ignore_cleanup_errors=True
        ) as folder:
            jobs = self._submitted(Path(folder), messages)
            waiting = list(jobs)
            try:
                for job in _submitit().helpers.as_completed(jobs, poll_frequency=POLL_SECONDS):
                    result = opened(_got(job))
                    waiting.remove(job)
                    yield result
            finally:
                for job in waiting:
                    job.cancel(check=False)

    def _submitted(self, folder: Path, messages: Sequence[bytes]) -> list[Any]:
        submitit = _submitit()
        errors = submitit.core.utils
        executor = submitit.SlurmExecutor(folder)
        executor.update_parameters(
            job_name="wider",
            partition=self.address,
            time=None,  # the partition's own
            cpus_per_task=1,
            gpus_per_node=1 if self.needs_gpu else None,
            array_parallelism=self.jobs,
            setup=[f"export {name}={value}" for name, value in ONE_THREAD.items()],
        )
        try:
            # Pickles, and so it has to be: these are functions of our own, and the files are of
            # the user's own account.
            return executor.map_array(_run, messages)
        except (errors.FailedJobError, errors.FailedSubmissionError, OSError) as error:
            raise InputError(
                f"SLURM refuses the jobs ({' '.join(str(error).split())}): check --address, which "
                "is the partition, and the SBATCH_... variables of the environment"
            ) from error


def _submitit() -> Any:
    return imported("submitit", extra="slurm")


def _run(message: bytes) -> bytes:
    """What a job does."""
    # submitit would hold them back, to start what was interrupted again from its beginning.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return answer(message)


def _got(job: Any) -> bytes:
    try:
        return job.result()
    except _submitit().core.utils.UncompletedJobError as error:
        raise LostWorkerError(
            f"the SLURM job {job.job_id} ended without a result ({_reason(job, error)}): allow it "
            f"more time or memory (SBATCH_TIMELIMIT, SBATCH_MEM_PER_CPU); {GOES_ON}"
        ) from error


def _reason(job: Any, error: Exception) -> str:
    *_, last = str(error).strip().splitlines() or [type(error).__name__]
    return f"{job.state}: {last}"
