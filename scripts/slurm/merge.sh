#!/usr/bin/env bash
#SBATCH --job-name=runner-merge
#SBATCH --output=slurm-%j.out
#SBATCH --requeue
# Puts the parts under DIR together: merge.sh DIR, see submit.sh. Says which are missing, if some are.
exec "${RUNNER:-runner}" merge "$1"
