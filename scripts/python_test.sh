#!/usr/bin/env bash
# Builds the wheel around a built runner, installs it in a virtual environment of its own beside the PyTorch that
# setup.sh has unpacked, and runs the Python tests, after a look at everybody's spelling: scripts/python_test.sh RUNNER
set -euo pipefail
cd "$(dirname "$0")/.."
# Many programs import torch, which takes seconds where Python may not keep what it compiles.
unset PYTHONDONTWRITEBYTECODE
# libtorch's threads sleep where they wait: spinning, they take the cores from other tests.
export OMP_WAIT_POLICY=passive

runner=$(realpath "$1")
venv=${CARGO_TARGET_DIR:-target}/python
# The folder in which `torch` is a package, instead of its wheel with 4 GB of NVIDIA libraries.
torch=$(realpath "$(dirname "${LIBTORCH:-.libtorch/torch}")")
[ -e "$torch/torch/__init__.py" ] || {
    echo "python_test.sh: $torch has no PyTorch for Python; run make setup without LIBTORCH" >&2
    exit 1
}

# What torch needs of Python, what the package needs, what the tests need.
needed="hatchling filelock typing-extensions sympy networkx jinja2 fsspec numpy safetensors tomli
    pytest pytest-xdist nbclient ipykernel codespell"
pip() { python3 -m pip --python "$venv/bin/python" --disable-pip-version-check -q "$@"; }
# An environment that holds these, made by the same Python, is taken again; the package itself is always installed.
stamp="$(python3 --version) $torch $needed"
if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]; then
    # pip of the Python that makes it installs into it, so that none is unpacked first.
    python3 -m venv --clear --without-pip "$venv"
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$torch" >"$site/torch.pth"
    # shellcheck disable=SC2086 # a word each
    pip install --no-compile $needed
    echo "$stamp" >"$venv/stamp"
fi
git ls-files -z -- "*.md" "*.rs" "*.py" "*.toml" "*.sh" "*.cff" "*.css" "*.js" | xargs -0 "$venv/bin/codespell"
RUNNER_BINARY=$runner pip install --no-compile --no-deps --no-build-isolation --force-reinstall .
"$venv/bin/python" -m pytest -q -n 2 python/tests
