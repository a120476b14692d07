"""A campaign of kills, faults and nonsense against the command line; see benchmarks/README.md."""

import os

# Before anything imports torch or datasets: a forked child has one thread, and nothing is fetched.
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "NO_COLOR": "1",
    "COLUMNS": "200",
}

import sys

from benchmarks.reliability._campaign import campaign

if __name__ == "__main__":
    sys.exit(campaign())
