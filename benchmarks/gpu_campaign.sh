#!/usr/bin/env bash
# Everything worth a GPU's time, the most telling first. Call it again and it goes on: what is done
# is in runs/gpu, and this call stops after $SECONDS_LEFT (1700 by default).
# Needs the packages of constraints.txt (torch of any version from 2.9 with CUDA), and CIFAR-10 in
# $DATA/cifar10 (shared/data by default). Tables and the log go to $OUT, six files.
set -uo pipefail
out=${OUT:?name a folder for the results}
left=${SECONDS_LEFT:-1700}
cd "$(dirname "$0")/.." || exit
data=${DATA:-shared/data}
work=runs/gpu
store=$work/store
export PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" WIDER_CACHE_DIR="$work/cache" PYTHONUNBUFFERED=1
export TORCHINDUCTOR_CACHE_DIR="$work/compiled" # what one run compiled serves the next
mkdir -p "$out" "$work"
exec > >(tee "$out/log.txt") 2>&1
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv

# step NAME SECONDS COMMAND...: once, for at most so many seconds.
step() {
    local name=$1 limit=$2
    shift 2
    [ -e "$work/$name.done" ] && return
    if ((SECONDS + limit > left)); then limit=$((left - SECONDS)); fi
    ((limit < 30)) && { echo "== $name: no time left"; return; }
    echo "== $name, at most $limit s: $*"
    timeout --signal=INT --kill-after=20 "$limit" "$@" && touch "$work/$name.done"
}

# Tables of what is there, also where a step was cut off. Without the nets, which are large.
train() {
    step "$1" "$2" python3 -m wider run "$1" --scale gpu --device cuda --precision bfloat16 \
        --jobs 4 --data-dir "$data" --store "$store"
    python3 -m wider results "$1" --scale gpu --store "$store" --format csv > "$work/$1-gpu.csv"
    cp "$work/$1-gpu.csv" "$out"
    tar --exclude='*.safetensors' --exclude=locks -czf "$out/results.tar.gz" "$store"
}

step checks 300 python3 -m pytest tests/test_gpu.py -n0 -q -p no:cacheprovider
step gpu-epoch 480 python3 benchmarks/gpu_epoch.py --data-dir "$data" --output "$work/gpu-epoch.csv"
cp "$work/gpu-epoch.csv" "$out"
train figure-1 900
train figure-3 400
train figure-5 400
