#!/usr/bin/env bash
# A virtual environment with what the Python tests need beside PyTorch: scripts/python_env.sh FOLDER
set -euo pipefail

venv=$1
# What torch needs of Python, what the package needs, what the tests need.
needed="hatchling filelock typing-extensions sympy networkx jinja2 fsspec numpy safetensors tomli
    pytest pytest-xdist nbclient ipykernel codespell"
# An environment that holds these, made by the same Python, is taken again.
stamp="$(python3 --version) $needed"
[ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
# pip of the Python that makes it installs into it, so that none is unpacked first.
python3 -m venv --clear --without-pip "$venv"
# shellcheck disable=SC2086 # a word each
python3 -m pip --python "$venv/bin/python" --disable-pip-version-check -q install --no-compile $needed
echo "$stamp" >"$venv/stamp"
