#!/usr/bin/env bash
# Fetches what the tests need, side by side: libtorch, Python packages, schedulers.
set -uo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh &
fetching=($!)
scripts/python_env.sh "${CARGO_TARGET_DIR:-target}/python" &
fetching+=($!)
scripts/slurm/install.sh &
fetching+=($!)
code=0
for one in "${fetching[@]}"; do
    wait "$one" || code=$?
done
exit $code
