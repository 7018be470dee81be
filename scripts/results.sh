#!/usr/bin/env bash
# Runs every experiment of results/ again and puts what README and docs show of them in its place:
# scripts/results.sh RUNNER. Some minutes; the comparison with other libraries is `make compare`.
set -euo pipefail
cd "$(dirname "$0")/.."

runner=$(realpath "$1")
"$runner" --version
if [ -n "$(git status --porcelain --untracked-files=no -- src build.rs Cargo.toml Cargo.lock experiments)" ]; then
    echo "results.sh: code or experiments differ from the last commit; commit them first, so that results can name it" >&2
    exit 1
fi
for spec in experiments/*.toml; do
    name=$(basename "$spec" .toml)
    # What `make minilm` fetches may not be there.
    [ "$name" = minilm ] && [ ! -e experiments/minilm/model.safetensors ] && continue
    # A smoke test has no results to keep, and those of a GPU come from scripts/gpu.sh.
    case $name in smoke | gpu_*) continue ;; esac
    "$runner" "$spec" --fresh --yes
done
python3 scripts/refresh_docs.py
grep -l -- '-modified"' results/*/manifest.toml && exit 1 || echo "results.sh: every manifest names a commit"
