#!/usr/bin/env bash
# Checks and times the runner on a machine with an NVIDIA GPU and PyTorch 2.11, but no Rust and no network.
#   scripts/gpu.sh pack [DIR]   here: a folder (default target/gpu) with the programs, specs and data
#   DIR/gpu.sh run [OUT]        there: every step below; records, logs and status.txt go to OUT and OUT.tar.gz
#   DIR/gpu.sh steps            lists the steps
# DEVICE=cpu goes the same way without a GPU, QUICK=1 with sizes that mean nothing. STEPS="device tests" runs some
# steps alone. A step may take LIMIT seconds (default 240). A step that fails does not end the others; the exit
# code is 1 if any failed.
set -euo pipefail

DEVICE=${DEVICE:-cuda}
LIMIT=${LIMIT:-240}
# A name with 64 behind it: the same in float64.
SPECS="smoke gpu_example gpu_example64 gpu_cnn gpu_cnn64 gpu_resnet18 gpu_gpt"
ALL_STEPS="device tests $SPECS bench peers"

die() {
    echo "gpu.sh: $*" >&2
    exit 1
}

# The path of what cargo has built last for a target of this name and kind.
built() { # built NAME KIND < cargo's messages
    python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    target = message.get("target", {})
    if message.get("executable") and target["name"] == sys.argv[1] and sys.argv[2] in target["kind"]:
        path = message["executable"]
print(path)' "$1" "$2"
}

# Copies a program, which must ask for libtorch.so: else it would never see the CUDA half.
take() { # take PROGRAM NAME
    readelf -d "$1" | grep -q 'NEEDED.*\[libtorch\.so\]' || die "$1 does not need libtorch.so"
    strip -o "$dir/$2" "$1"
}

pack() {
    cd "$(dirname "$0")/.."
    dir=${1:-target/gpu}
    rm -rf "$dir"
    mkdir -p "$dir/tests/data" "$dir/benches"
    # One set of features for all, so that the library is compiled once.
    local messages
    messages=$(cargo build --release --locked --bin runner --test cuda --example ours --bench curvature \
        --message-format=json)
    take "$(built runner bin <<<"$messages")" runner
    take "$(built cuda test <<<"$messages")" cuda-tests
    take "$(built ours example <<<"$messages")" ours
    take "$(built curvature bench <<<"$messages")" curvature-bench
    cp -r experiments data scripts/gpu.sh "$dir"
    cp -r tests/data/exported "$dir/tests/data"
    cp -r benches/peers "$dir/benches"
    du -sh "$dir"
}

# torch's libraries first, then what the machine has set, then the usual places of a driver.
library_path() {
    local path folder
    path=$(python3 -c 'import os, torch; print(os.path.join(os.path.dirname(torch.__file__), "lib"))') ||
        die "python3 has no torch, whose libraries the runner needs"
    [ -z "${LD_LIBRARY_PATH:-}" ] || path+=:$LD_LIBRARY_PATH
    for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/local/cuda/lib64 /usr/lib/wsl/lib; do
        [ ! -d "$folder" ] || path+=:$folder
    done
    echo "$path"
}

device() {
    echo "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"
    ldd ./runner
    ! ldd ./runner | grep 'not found' || die "libraries are missing, see above"
    [ "$DEVICE" = cuda ] || return 0
    nvidia-smi
    python3 -c 'import sys, torch
count = torch.cuda.device_count()
print("torch", torch.__version__, "sees", count, "CUDA devices", [torch.cuda.get_device_name(i) for i in range(count)])
sys.exit(count == 0)'
}

tests() {
    if [ "$DEVICE" = cuda ]; then export REQUIRE_CUDA=1; fi
    ./cuda-tests --nocapture --test-threads 1
}

spec() {
    local dtype=float32
    [ "$1" = "${1%64}" ] || dtype=float64
    local options=(--device "$DEVICE" --dtype "$dtype" --out "$out/$1" --fresh --yes)
    if [ -n "${QUICK:-}" ]; then
        options+=(--set 'sampling.V=[10]' --set 'sampling.V_batch=[5]' --set timing.repeats=1 --set timing.warmup=0)
    fi
    ./runner "experiments/${1%64}.toml" "${options[@]}"
}

bench() { CURVATURE_DEVICE=$DEVICE ./curvature-bench ${QUICK:+--test} --bench --noplot 'hmp|forward'; }

# BackPACK, torch.func and curvlinops beside the runner, those that this machine has.
peers() {
    local found=() name
    for name in backpack functorch curvlinops; do
        if python3 -c "import ${name/functorch/torch.func}" 2>/dev/null; then found+=("$name"); fi
    done
    echo "found: ${found[*]:-none}"
    python3 -c 'import numpy, safetensors' || return 0
    export PEER_DEVICE=$DEVICE
    python3 benches/peers/make_problems.py "$out/problems" mlp_example
    python3 benches/peers/compare.py --ours ./ours --problems "$out/problems" --out "$out/peers" \
        --peers "${found[@]}" ${QUICK:+--quick}
}

step() {
    case $1 in
    device | tests | bench | peers) "$1" ;;
    *) spec "$1" ;;
    esac
}

run() {
    out=${1:-gpu-results}
    mkdir -p "$out"
    out=$(realpath "$out")
    cd "$(dirname "$0")"
    LD_LIBRARY_PATH=$(library_path) || exit 1
    export LD_LIBRARY_PATH DEVICE
    : >"$out/status.txt"
    local name code failed=0 begin
    for name in ${STEPS:-$ALL_STEPS}; do
        code=0
        begin=$(date +%s)
        timeout "$LIMIT" ./gpu.sh step "$name" "$out" 2>&1 | tee "$out/$name.log" || code=$?
        echo "$name: exit code $code, $(($(date +%s) - begin)) s" | tee -a "$out/status.txt"
        [ "$code" = 0 ] || failed=1
        # Without its libraries or its card nothing else means anything.
        [ "$name $failed" != "device 1" ] || break
    done
    tar -C "$(dirname "$out")" -czf "$out.tar.gz" "$(basename "$out")"
    cat "$out/status.txt"
    echo "everything is in $out.tar.gz"
    exit $failed
}

case "${1:-}" in
pack) pack "${2:-}" ;;
run) run "${2:-}" ;;
steps) echo "$ALL_STEPS" ;;
step)
    out=$3
    step "$2"
    ;;
*)
    sed -n '2,8s/^# //p' "$0" >&2
    exit 2
    ;;
esac
