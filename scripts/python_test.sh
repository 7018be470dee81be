#!/usr/bin/env bash
# Builds the wheel around a built runner, installs it in a fresh virtual environment beside the PyTorch that
# setup.sh has unpacked, and runs the Python tests, after a look at everybody's spelling: scripts/python_test.sh RUNNER
set -euo pipefail
cd "$(dirname "$0")/.."

runner=$(realpath "$1")
venv=${CARGO_TARGET_DIR:-target}/python
# The folder in which `torch` is a package, instead of its wheel with 4 GB of NVIDIA libraries.
torch=$(realpath "$(dirname "${LIBTORCH:-.libtorch/torch}")")
[ -e "$torch/torch/__init__.py" ] || {
    echo "python_test.sh: $torch has no PyTorch for Python; run make setup without LIBTORCH" >&2
    exit 1
}

# pip of the Python that makes it installs into it, so that none is unpacked first.
python3 -m venv --clear --without-pip "$venv"
"$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' | {
    read -r site
    echo "$torch" >"$site/torch.pth"
}
pip() { python3 -m pip --python "$venv/bin/python" --disable-pip-version-check -q "$@"; }
# What torch needs of Python, what the package needs, what the tests need.
pip install --no-compile hatchling filelock typing-extensions sympy networkx jinja2 fsspec numpy safetensors tomli \
    pytest pytest-xdist nbclient ipykernel codespell
git ls-files -z -- "*.md" "*.rs" "*.py" "*.toml" "*.sh" "*.cff" "*.css" "*.js" | xargs -0 "$venv/bin/codespell"
RUNNER_BINARY=$runner pip install --no-compile --no-deps --no-build-isolation .
"$venv/bin/python" -m pytest -q -n 2 python/tests
