#!/usr/bin/env bash
# Runs `cargo test` with these arguments and tells which ten tests took longest.
#
# Cargo starts every test program through this script (its `runner`), which asks the program for the
# time of each test; output and exit codes are those of `cargo test`.
set -euo pipefail

if [ -n "${TEST_TIMES:-}" ]; then
    # Benchmarks take other options, and none to run once.
    case ${1##*/} in curvature-*) exec "$@" ;; esac
    # Test programs of a stable toolchain know the option too, where this variable unlocks it.
    RUSTC_BOOTSTRAP=1 "$@" -Zunstable-options --report-time | tee -a "$TEST_TIMES"
    exit
fi

TEST_TIMES=$(mktemp)
# libtorch's threads sleep where they wait: spinning, they take the cores from other tests.
export TEST_TIMES OMP_WAIT_POLICY=passive
trap 'rm -f "$TEST_TIMES"' EXIT
code=0
"${CARGO:-cargo}" test --config "target.'cfg(all())'.runner = '$(realpath "$0")'" "$@" || code=$?
echo "slowest tests, in seconds:"
sed -n 's/^test \(.*\) \.\.\. .* <\([0-9.]*\)s>$/\2 \1/p' "$TEST_TIMES" | sort -rn | sed -n 1,10p
exit $code
