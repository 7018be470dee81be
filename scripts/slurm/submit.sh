#!/usr/bin/env bash
# Runs an experiment in PARTS tasks of a Slurm job array and merges them afterwards:
#   scripts/slurm/submit.sh PARTS DIR SPEC [OPTION...]
# DIR gets the results, on a file system that all nodes see; options are those of `runner SPEC`. What a
# task is given is set by Slurm's own variables, as SBATCH_PARTITION=gpu SBATCH_GPUS=1 SBATCH_TIMELIMIT=8:00:00.
# RUNNER names the program where it is not on the path, RETRIES how often a part is tried again (10).
# The same command again runs what is still missing.
set -euo pipefail

[ $# -ge 3 ] || {
    sed -n '2,/^set/{/^set/d;s/^# \?//;p}' "$0" >&2
    exit 2
}
parts=$1
shift
here=$(dirname "$(realpath "$0")")
array=$(sbatch --parsable --array="1-$parts" "$here/part.sh" "$@")
merge=$(sbatch --parsable --dependency="afterany:${array%%;*}" "$here/merge.sh" "$1")
echo "parts are job ${array%%;*}, merging is job ${merge%%;*}; to look on: runner status $1"
