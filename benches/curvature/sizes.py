"""Makes results/sizes/sizes.csv from what `cargo bench -- sizes` has measured.

    sizes.py target/criterion results/sizes/sizes.csv
"""

import csv
import json
import sys
from pathlib import Path


def main(criterion: Path, out: Path) -> None:
    """One row per axis, estimator and size: the median and its 95 % interval, in seconds."""
    rows = []
    for estimates in criterion.glob("sizes */*/*/new/estimates.json"):
        axis, estimator, size = estimates.relative_to(criterion).parts[:3]
        median = json.loads(estimates.read_text())["median"]
        bounds = median["confidence_interval"]
        seconds = [v * 1e-9 for v in (median["point_estimate"], bounds["lower_bound"], bounds["upper_bound"])]
        rows.append([axis.removeprefix("sizes "), estimator, int(size), *(f"{s:.4g}" for s in seconds)])
    if not rows:
        sys.exit(f"sizes.py: found no benchmark in {criterion}, expected those of `cargo bench -- sizes`")
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["axis", "estimator", "size", "seconds_median", "seconds_low", "seconds_high"])
        writer.writerows(sorted(rows))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
