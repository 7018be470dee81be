#!/usr/bin/env bash
# Unpacks PyTorch from the PyPI wheel into .libtorch/ (LIBTORCH = .libtorch/torch). The Python part comes
# along for the Python tests: with .libtorch on its path, a Python like ours has `import torch`.
#   lean: the CPU half only, for machines without an NVIDIA driver (the default there)
#   full: with CUDA and the NVIDIA libraries (default with a driver, or with CUDA=1)
# CUDA=1 and CUDA=0 force the choice; a LIBTORCH of your own skips the download.
set -euo pipefail
cd "$(dirname "$0")/.."

TORCH=2.11.0 # the version that tch 0.24 is written for
DIR=.libtorch
TMP=.libtorch.tmp

say() { echo "setup: $*"; }
die() {
    echo "setup: $*" >&2
    exit 1
}

# Tools first, so that a missing one is named before anything is downloaded.
missing=() packages=()
need() { # need COMMAND-THAT-MUST-WORK NAME APT-PACKAGE
    eval "$1" >/dev/null 2>&1 && return
    missing+=("$2")
    [ -z "$3" ] || packages+=("$3")
}
need 'cargo --version' cargo ''
need 'g++ --version' g++ g++
need 'python3 --version' python3 python3
need 'python3 -m pip --version' 'pip for python3' python3-pip
if [ ${#missing[@]} -gt 0 ]; then
    say "missing: $(printf '%s; ' "${missing[@]}")" >&2
    [ ${#packages[@]} -eq 0 ] || say "try: sudo apt-get install -y ${packages[*]}" >&2
    [[ " ${missing[*]} " != *' cargo '* ]] || say "cargo (Rust) comes from https://rustup.rs" >&2
    exit 1
fi

if [ -n "${LIBTORCH:-}" ]; then
    [[ $LIBTORCH = /* ]] || die "LIBTORCH=$LIBTORCH must be an absolute path"
    [ -e "$LIBTORCH/lib/libtorch.so" ] || die "LIBTORCH=$LIBTORCH has no lib/libtorch.so"
    say "using LIBTORCH=$LIBTORCH"
    exit 0
fi

# The Python that runs this, where the wheel exists for it: only the Python part depends on that.
python=$(python3 -c 'import sys; print("3.%d" % (min(sys.version_info[1], 14) if sys.version_info >= (3, 10) else 12))')
have=$(cat "$DIR/stamp" 2>/dev/null || true)
case "${CUDA:-auto}" in
1) flavour=full ;;
0) flavour=lean ;;
*)
    flavour=lean
    if [ -e /proc/driver/nvidia/version ] || nvidia-smi >/dev/null 2>&1; then flavour=full; fi
    # Without a request, a full set-up made earlier is good enough.
    if [ "$have" = "$TORCH full $python" ]; then flavour=full; fi
    ;;
esac
if [ "$have" = "$TORCH $flavour $python" ]; then
    say "libtorch $TORCH ($flavour) is in place"
    exit 0
fi

# Everything happens in $TMP and is renamed at the end: an interrupted run leaves no half set-up.
rm -rf "$TMP"
mkdir -p "$TMP/wheel"
trap 'rm -rf "$TMP"' EXIT
pip() { PIP_ROOT_USER_ACTION=ignore python3 -m pip --disable-pip-version-check -q "$@"; }

say "fetching libtorch $TORCH ($flavour)"
pip download --no-deps --only-binary=:all: --python-version "$python" -d "$TMP/wheel" "torch==$TORCH"

# Unpacks what is needed and prints the wheel's own NVIDIA requirements, with their exact versions.
python3 - "$flavour" "$TMP" >"$TMP/requirements.txt" <<'PY'
import glob, re, sys, zipfile

flavour, tmp = sys.argv[1:]
unused = r"torch/(bin/(?!torch_shm_manager)|test/)"
if flavour == "lean":
    # What only a GPU uses; stubs.py needs some of it for a moment.
    unused += r"|torch/lib/lib(torch_cuda_linalg|caffe2_nvrtc|torch\.so)"
with zipfile.ZipFile(glob.glob(f"{tmp}/wheel/*.whl")[0]) as wheel:
    for item in wheel.infolist():
        name = item.filename
        if not re.match(unused, name):
            wheel.extract(item, tmp)
        if name.endswith(".dist-info/METADATA"):
            metadata = wheel.read(name).decode()
for req in re.findall(r"^Requires-Dist: ((?:nvidia|cuda-toolkit)[^;\s]*)", metadata, re.M):
    if flavour == "full":
        print(req)
    elif req.startswith("cuda-toolkit"):
        # libtorch_cpu.so itself links to these two small libraries.
        print(re.sub(r"\[.*\]", "[cudart,cupti]", req))
PY
rm -rf "$TMP/wheel"
pip install --no-compile --only-binary=:all: --target "$TMP" -r "$TMP/requirements.txt"
echo "$TORCH" >"$TMP/torch/build-version" # lets torch-sys check the version

if [ "$flavour" = lean ]; then
    # The wheel's libtorch.so is an empty library that pulls in the CUDA half; this one pulls in the CPU half only.
    echo | g++ -shared -fPIC -x c++ - -o "$TMP/torch/lib/libtorch.so" -L"$TMP/torch/lib" \
        -Wl,-soname,libtorch.so -Wl,--no-as-needed -ltorch_cpu -lc10 '-Wl,-rpath,$ORIGIN'
    # libcudart and libcupti are needed, the rest of their wheels is not.
    find "$TMP/nvidia" -type f ! -name 'libcudart.so*' ! -name 'libcupti.so*' -delete
    find "$TMP/nvidia" -type d -empty -delete
    python3 scripts/stubs.py "$TMP"
fi

python3 -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$PWD/$TMP/torch/lib/libtorch.so" ||
    die "libtorch was unpacked but does not load; the error is above"

echo "$TORCH $flavour $python" >"$TMP/stamp"
rm -rf "$DIR"
mv "$TMP" "$DIR"
trap - EXIT
say "libtorch $TORCH ($flavour) is ready: $(du -sh "$DIR" | cut -f1)"
