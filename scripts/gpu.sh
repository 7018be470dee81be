#!/usr/bin/env bash
# Checks and times the runner on a machine with an NVIDIA GPU and PyTorch 2.11, but no Rust and no network.
#   scripts/gpu.sh pack [DIR]   here: a folder (default target/gpu) with the programs, specs and data
#   DIR/gpu.sh run [OUT]        there: CUDA tests and timing specs; records and logs go to OUT
set -euo pipefail

pack() {
    cd "$(dirname "$0")/.."
    local dir=${1:-target/gpu} test
    cargo build --release --locked
    test=$(cargo test --release --locked --no-run --test cuda --message-format=json |
        python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "cuda":
        print(message["executable"])')
    rm -rf "$dir"
    mkdir -p "$dir"
    strip -o "$dir/runner" target/release/runner
    strip -o "$dir/cuda-tests" "$test"
    cp -r experiments data scripts/gpu.sh "$dir"
    du -sh "$dir"
}

run() {
    cd "$(dirname "$0")"
    local out=${1:-gpu-results}
    mkdir -p "$out"
    LD_LIBRARY_PATH=$(python3 -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))')
    export LD_LIBRARY_PATH NVIDIA_TF32_OVERRIDE=0
    nvidia-smi | tee "$out/nvidia-smi.txt"
    ./cuda-tests --nocapture --test-threads 1 2>&1 | tee "$out/cuda-tests.txt"
    for spec in timing one_pass; do
        ./runner "experiments/$spec.toml" --device cuda --out "$out/$spec" 2>&1 | tee "$out/$spec.txt"
    done
}

case "${1:-}" in
pack) pack "${2:-}" ;;
run) run "${2:-}" ;;
*)
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
    ;;
esac
