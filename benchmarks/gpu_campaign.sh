#!/usr/bin/env bash
# The next most valuable work for a machine with a GPU, shortest first; each step can be called again.
# Needs the packages of constraints.txt (torch of any recent version with CUDA). Results go to $OUT.
set -uo pipefail
out=${OUT:?name a folder for the results}
cd "$(dirname "$0")/.." || exit
export PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" WIDER_CACHE_DIR="$out/cache" PYTHONUNBUFFERED=1
mkdir -p "$out"
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv | tee "$out/machine.txt"

# 1. Checks that no other machine can make.
python3 -m pytest tests/test_gpu.py -n0 -q -p no:cacheprovider 2>&1 | tee "$out/checks.txt"

# 2. The demo on the GPU, against the committed table of the CPU.
python3 -m wider.cli run demo --device cuda --jobs 4 --store "$out/store" 2>&1 | tee "$out/demo.txt"
python3 -m wider.cli results demo --store "$out/store" --format csv > "$out/demo-gpu.csv"

# 3. ResNet-18 on CIFAR-10 at widths 8 to 64, 175,192 weights each. Same runs as on a CPU.
data=${DATA:-shared/data}
if [ -d "$data/cifar10" ]; then
    python3 -m wider.cli run figure-1 --scale laptop --device cuda --jobs 2 --data-dir "$data" \
        --store "$out/store" 2>&1 | tee "$out/figure-1.txt"
    python3 -m wider.cli results figure-1 --store "$out/store" --format csv > "$out/figure-1-laptop-gpu.csv"
fi
