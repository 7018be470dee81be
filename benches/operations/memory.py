"""Peak memory of every way beside what the plan forecasts: memory.py RUNNER [SPEC ...]

For each spec (resnet18 of experiments/ and those of this folder, if none is named) and each way, the forecast
is what `runner SPEC --dry-run` says a run takes beyond network and data, and the peak is what a run adds to
the resident memory of its process. Exits with 1 where a peak is over 1.5 times its forecast.
"""

import csv
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPECS = [HERE / "vgg11.toml", HERE / "mlp_wide.toml", HERE.parents[1] / "experiments/resnet18.toml"]
PRODUCT = 'kind = "hutchinson"\nV = [40]\nV_batch = [4]\nseeds = [0]\n'
WAYS = {
    "exact": 'kind = "exact"\n',
    "propagation": 'kind = "propagation"\nV = [40]\nV_batch = [4]\nseeds = [0]\n',
    **{
        f"{product}, {blocks}": f'{PRODUCT}product = "{product}"\nblocks = "{blocks}"\n'
        for product in ("forward", "hmp")
        for blocks in ("full", "parameter")
    },
}
MOST = 1.5
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def spec_of(path: Path, estimator: str) -> str:
    """The problem of a spec, with one estimator and without what else it samples."""
    tables = re.split(r"^(?=\[)", path.read_text(encoding="utf-8"), flags=re.M)
    kept = [t for t in tables if not re.match(r"\[\[estimator\]\]|\[(sampling|timing|plot|output)", t)]
    text = re.sub(r'^kind( *)= "timing"', r'kind\1= "convergence"', "".join(kept), flags=re.M)
    return f"{text}\n[[estimator]]\n{estimator}"


def forecast(runner: str, spec: Path) -> float:
    """Bytes that the dry run predicts beyond network and data."""
    out = subprocess.run([runner, str(spec), "--dry-run"], capture_output=True, text=True, check=True).stdout
    number, unit = re.search(r"in all: .*, ([\d.]+) (\w+) beyond network and data", out).groups()
    return float(number) * UNITS[unit]


def peak(runner: str, spec: Path, out: Path) -> float:
    """Bytes by which the process of a run grew at most."""
    subprocess.run([runner, str(spec), "--out", str(out), "--fresh", "--quiet", "--yes"], check=True)
    with (out / "records.csv").open(newline="") as file:
        return max(float(row["memory"]) for row in csv.DictReader(file))


def main() -> None:
    """Print a table; fail where a forecast is too low."""
    runner, *specs = sys.argv[1:]
    too_low = False
    print("| network | way | forecast, MiB | peak, MiB | peak / forecast |\n|---|---|---|---|---|")
    for path in [Path(spec) for spec in specs] or SPECS:
        for way, estimator in WAYS.items():
            with tempfile.TemporaryDirectory() as folder:
                spec = path.parent / f".memory-{path.stem}.toml"  # beside the data that it names
                spec.write_text(spec_of(path, estimator), encoding="utf-8")
                try:
                    expected, found = forecast(runner, spec), peak(runner, spec, Path(folder))
                finally:
                    spec.unlink()
            too_low |= found > MOST * expected
            mib = f"{expected / 2**20:.0f} | {found / 2**20:.0f}"
            print(f"| {path.stem} | {way} | {mib} | {found / expected:.2f} |", flush=True)
    sys.exit(too_low)


if __name__ == "__main__":
    main()
