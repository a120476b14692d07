"""Native layers trained by several processes."""

import subprocess
import sys
from pathlib import Path


def test_replicated_and_sharded_nets_take_the_steps_of_one_process():
    script = str(Path(__file__).with_name("processes.py"))
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", script]
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
