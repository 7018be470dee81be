#!/usr/bin/env bash
# Installs what the tests over several machines need: Debian's Slurm and munge, and GNU parallel. Where that
# cannot be, says why; those tests are then skipped.
set -uo pipefail

missing=()
for program in slurmctld slurmd sbatch munged parallel; do
    command -v $program >/dev/null || PATH=$PATH:/usr/sbin command -v $program >/dev/null || missing+=("$program")
done
[ ${#missing[@]} -gt 0 ] || exit 0
skip() {
    echo "slurm: no ${missing[*]} here, $*: tests over several machines are skipped"
    exit 0
}
command -v apt-get >/dev/null || skip "and no apt-get to install them"
[ "$(id -u)" -eq 0 ] || skip "and only root may install them (apt-get install slurmctld slurmd slurm-client munge parallel)"
export DEBIAN_FRONTEND=noninteractive
install() { timeout 300 apt-get -qq install -y --no-install-recommends slurmctld slurmd slurm-client munge parallel; }
echo "slurm: installing ${missing[*]}"
{ install || { timeout 300 apt-get -qq update && install; }; } >/dev/null 2>&1 || skip "and apt-get could not install them"
