#!/usr/bin/env bash
# What cargo takes for rustdoc during `make test`: writes the documentation, every warning an error, and
# then runs its examples, as cargo asks. Both read what was compiled for the tests.
set -euo pipefail

page=()
skip=no
for word in "$@"; do
    if [ "$skip" = yes ]; then
        skip=no
        continue
    fi
    case $word in
    --test) ;;
    --test-run-directory) skip=yes ;;
    *) page+=("$word") ;;
    esac
done
if [ ${#page[@]} -lt $# ]; then rustdoc -D warnings --out-dir "${CARGO_TARGET_DIR:-target}/doc" "${page[@]}"; fi
exec rustdoc "$@"
