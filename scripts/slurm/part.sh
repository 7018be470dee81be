#!/usr/bin/env bash
#SBATCH --job-name=runner-part
#SBATCH --output=slurm-%A_%a.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=TERM@60
# One part of an experiment, as a task of a job array: part.sh DIR SPEC [OPTION...], see submit.sh.
#
# Where the node fails or the task is preempted, Slurm queues it again, and it goes on where it was. A minute
# before the time limit the runner is asked to end, which it does within a second; then, and where it fails,
# the part queues itself again.
set -uo pipefail

dir=$1
shift
restarts=${SLURM_RESTART_COUNT:-0}
again=()
[ "$restarts" -eq 0 ] || again=(--retry-failed)
# --yes: nobody is there to be asked about a long run.
srun "${RUNNER:-runner}" "$@" --out "$dir" --yes --quiet "${again[@]}"
code=$?
# 2: the input is wrong, which no repetition mends.
if [ $code -ne 0 ] && [ $code -ne 2 ] && [ "$restarts" -lt "${RETRIES:-10}" ]; then
    echo "part.sh: exit code $code, restart $((restarts + 1))"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
