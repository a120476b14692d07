"""A SLURM of this machine, as far as submitit asks: sbatch, srun, sacct and scancel.

Called with the name of a command, the folder of the jobs' states, and the command's arguments.
"""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path


def sbatch(folder: Path, script: str) -> None:
    job = str(os.getpid())
    subprocess.Popen(
        [sys.executable, __file__, "controller", str(folder), job, script],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    sys.stdout.write(f"Submitted batch job {job}\n")


def controller(folder: Path, job: str, script: str) -> None:
    text = Path(script).read_text()
    array = re.search(r"--array=0-(\d+)%(\d+)", text)
    waiting = [f"{job}_{task}" for task in range(int(array[1]) + 1)] if array else [job]
    at_once = int(array[2]) if array else 1
    running: dict[str, subprocess.Popen[bytes]] = {}
    while waiting or running:
        cancelled = {path.stem for path in folder.glob("*.cancelled")}
        while waiting and len(running) < at_once:
            name = waiting.pop(0)
            if name not in cancelled:
                running[name] = _started(name, script)
                (folder / f"{name}.state").write_text("RUNNING")
        for name, process in list(running.items()):
            if name in cancelled:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
            if process.poll() is not None:
                state = "FAILED" if process.returncode else "COMPLETED"
                (folder / f"{name}.state").write_text(state)
                del running[name]
        time.sleep(0.02)


def _started(name: str, script: str) -> subprocess.Popen[bytes]:
    job, _, task = name.partition("_")
    variables = {
        "SLURM_JOB_ID": job,
        "SLURM_NTASKS": "1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
    }
    if task:
        variables |= {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": task}
    return subprocess.Popen(
        ["bash", script], env={**os.environ, **variables}, start_new_session=True
    )


def srun(_: Path, *arguments: str) -> None:
    words = list(arguments)
    while words[0].startswith("--"):
        words = words[1:] if words[0] == "--unbuffered" else words[2:]
    os.execvp(words[0], words)


def sacct(folder: Path, *_: str) -> None:
    states = [(path.stem, path.read_text()) for path in folder.glob("*.state")]
    lines = ["JobID|State|NodeList", *(f"{name}|{state}|here" for name, state in states)]
    sys.stdout.write("\n".join(lines) + "\n")


def scancel(folder: Path, name: str) -> None:
    (folder / f"{name}.cancelled").touch()


if __name__ == "__main__":
    commands = [sbatch, srun, sacct, scancel, controller]
    command = {each.__name__: each for each in commands}[sys.argv[1]]
    command(Path(sys.argv[2]), *sys.argv[3:])
