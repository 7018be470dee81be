#!/usr/bin/env bash
# Packs a built runner for another machine that has libtorch or PyTorch: scripts/dist.sh RUNNER
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name=curvature-runner-$version-$(uname -m)-linux
folder=dist/$name
rm -rf "$folder"
mkdir -p "$folder/bin"
strip -o "$folder/bin/runner-on-libtorch" "$1"
install -m 755 scripts/launch.sh "$folder/bin/runner"
# What git knows: experiments may hold what was fetched for them.
git ls-files -z experiments docs data/mnist README.md CHANGELOG.md CITATION.cff LICENSE-APACHE LICENSE-MIT |
    tar --null -T - -c | tar -C "$folder" -x
tar -C dist -czf "dist/$name.tar.gz" "$name"
du -h "dist/$name.tar.gz"
