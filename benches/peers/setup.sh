#!/usr/bin/env bash
# Creates the Python environment of the peers in .peers/ at the repository root.
# Does nothing when .peers/ was already made from the present requirements.txt.
#
# torch's wheel for Linux is the CUDA build, and its libtorch_cuda.so does not load without the
# NVIDIA libraries even where no GPU is used. So they are installed too: about 6 GB on disk in all.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/.peers
stamp=$venv/requirements.stamp
python=${PYTHON:-python3}
needed_gb=9

if cmp -s "$here/requirements.txt" "$stamp"; then
    exit 0
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup.sh: found $("$python" --version), expected Python 3.11 or newer; set PYTHON=..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "setup.sh: Python's venv module is missing; install it: apt-get install python3-venv" >&2
    exit 1
fi
free_gb=$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1048576) }')
if [ "$free_gb" -lt "$needed_gb" ]; then
    echo "setup.sh: found $free_gb GB free, expected at least $needed_gb GB for $venv" >&2
    exit 1
fi

rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
    -r "$here/requirements.txt"
"$venv/bin/python" -c 'import backpack, curvlinops, jax, torch; torch.ones(1)'
cp "$here/requirements.txt" "$stamp"
echo "setup.sh: $venv is ready"
