#!/usr/bin/env bash
# What is worth a GPU's time, the runs that decide most claims first, in one slice of at most ten
# minutes. Call it again and it goes on: what is done is in runs/gpu and in the committed tables.
#
#   OUT=FOLDER DATA=FOLDER WIDER_COMMIT=HASH bash benchmarks/gpu_campaign.sh [--dry-run]
#
# OUT           where tables (EXPERIMENT-gpu.csv, as `wider results` prints them) and the logs go
# DATA          datasets, one folder each (default: shared/data); runs without theirs are left out
# SECONDS_LEFT  of this slice (default: 540)
# JOBS          runs that share the card (default: 12)
# WIDER_COMMIT  the commit of this source, where it is a copy outside its repository
# --dry-run     every step on the CPU, at scale smoke
#
# Needs the packages of constraints.txt but for vl-convert, torch of any version from 2.9 with CUDA,
# and neither git nor an installed wider. Exit codes: 0 nothing failed (what is left is named), 1 a
# step failed or there is no GPU.
set -euo pipefail
out=${OUT:?name a folder for the tables}
left=$((${SECONDS_LEFT:-540} - 40)) # to end the runs and to write the tables takes a while
jobs=${JOBS:-12}
scale=gpu where=(--device cuda --precision bfloat16)
[ "${1:-}" = --dry-run ] && scale=smoke where=(--device cpu) jobs=2
mkdir -p "$out"
out=$(cd "$out" && pwd)
data=$(cd "${DATA:-$(dirname "$0")/../shared/data}" && pwd)
cd "$(dirname "$0")/.."
work=${WORK:-runs/gpu}
mkdir -p "$work"
export PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" WIDER_CACHE_DIR="$work/cache" PYTHONUNBUFFERED=1
export TORCHINDUCTOR_CACHE_DIR="$work/compiled" # what one run compiled serves the next
export TORCHINDUCTOR_COMPILE_THREADS=2 # of each of the runs that start at once
exec > >(tee "$out/log.txt") 2>&1
failed=() unfinished=()

if [ $scale = gpu ]; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv || true
    python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || {
        echo "gpu_campaign: PyTorch finds no GPU here; --dry-run tries all steps on the CPU"
        exit 1
    }
    if command -v nvidia-cuda-mps-control >/dev/null; then # runs share the card's processors
        export CUDA_MPS_PIPE_DIRECTORY=/tmp/wider-mps CUDA_MPS_LOG_DIRECTORY=/tmp/wider-mps-log
        mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
        pgrep -f nvidia-cuda-mps-control >/dev/null || nvidia-cuda-mps-control -d
        trap 'echo quit | nvidia-cuda-mps-control >/dev/null 2>&1 || true' EXIT
    fi
fi

# step NAME COMMAND...: once; the end of the slice interrupts it, and the next slice goes on.
step() {
    local name=$1 limit=$((left - SECONDS)) code=0
    shift
    [ -e "$work/$scale-$name.done" ] && return
    ((limit < 15)) && { unfinished+=("$name"); return; }
    echo "== $name, at most $limit s: $*"
    timeout --signal=INT --kill-after=20 "$limit" "$@" || code=$?
    echo "== $name: exit code $code at $SECONDS s"
    case $code in
        0) touch "$work/$scale-$name.done" ;;
        3) ;; # what is left has no data here, and was named
        124 | 130 | 137) unfinished+=("$name") ;;
        *) failed+=("$name") ;;
    esac
}

# Beside the first runs: it takes a minute of the processor, and hardly any of the card.
if [ ! -e "$work/$scale-checks.done" ]; then
    { python3 -m pytest tests/test_gpu.py -n0 -q -p no:cacheprovider >"$out/checks.txt" 2>&1 &&
        touch "$work/$scale-checks.done"; } &
    checks=$!
fi
runs=(python3 benchmarks/gpu_runs.py --scale $scale --data-dir "$data" --store "$work/store"
    --known results)
step runs "${runs[@]}" --jobs "$jobs" "${where[@]}"
if [ $scale = gpu ]; then
    step gpu-epoch python3 benchmarks/gpu_epoch.py --data-dir "$data" --output "$out/gpu-epoch.csv"
else
    step gpu-epoch python3 benchmarks/gpu_epoch.py --device cpu --num-images 60 --base-width 1 \
        --width 2 --workers 1 --repetitions 1 --sharing 1 --output "$out/gpu-epoch.csv"
fi
"${runs[@]}" --tables "$out" || failed+=(tables) # also where the runs were cut off
[ -z "${checks:-}" ] || wait "$checks" || failed+=(checks)

for name in "${unfinished[@]}"; do echo "left for the next slice: $name"; done
for name in "${failed[@]}"; do echo "FAILED: $name"; done
((${#failed[@]} == 0))
