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

scripts/python_env.sh "$venv"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$torch" >"$site/torch.pth"
git ls-files -z -- "*.md" "*.rs" "*.py" "*.toml" "*.sh" "*.cff" "*.css" "*.js" | xargs -0 "$venv/bin/codespell"
RUNNER_BINARY=$runner python3 -m pip --python "$venv/bin/python" --disable-pip-version-check -q install \
    --no-compile --no-deps --no-build-isolation --force-reinstall .
"$venv/bin/python" -m pytest -q -n 2 python/tests
