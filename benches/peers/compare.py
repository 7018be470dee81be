"""Runs the same work in other people's libraries and in our program, alternating, and writes CSV.

    compare.py --problems DIR --out results/compare [--ours "COMMAND"] [--only NAME ...] [--quick]

For every problem folder, into a folder of its name: finds each method's best V_batch, times all
methods for the same V in alternating rounds (timing.csv), follows the error against time
(error_curve.csv), finds how many products give a standard error of 1 % (precision.csv), times all
methods for as many (one_percent.csv), and puts estimators that several libraries have side by side
at equal V (equal_budget.csv). machine.json says on which machine, when, with which versions.
Only one worker works at any moment, and nothing that compiles is timed.
"""

import argparse
import csv
import json
import math
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean, median

from candidate import WHOLE, Candidate, tune
from machine import describe, now
from precision import products_for_one_percent, space
from worker import Worker

PEERS = ["backpack", "autograd", "functorch", "jax", "curvlinops", "matfree", "traceax"]
CURVE_V = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000]
CURVE_SEEDS = 20
FEWEST_SEEDS = 5
SHORT = 0.5  # seconds below which a run is led up to by another: caches are the worker's before
BUDGET_V = [30, 120, 360]  # multiples of 6: Hutch++ spends its products in thirds, XTrace in halves
BUDGET_SEEDS = 100
BUDGET_TURN = 10
SHARED = {"forward": "hutchinson", "hutchinson": "hutchinson", "hutchpp": "hutchpp", "xtrace": "xtrace"}
# What --quick sets: every table once, with numbers that mean nothing.
QUICK = {
    "V": 60,
    "rounds": 1,
    "run_seconds": 0.1,
    "tune_seconds": 0.1,
    "curve_seconds": 0.05,
    "precision_seconds": 0.1,
    "budget_seconds": 0.5,
}
IDENTITY = ["problem", "peer", "version", "method", "quantity", "V", "V_batch"]
# `scaled`: the times are those of V_run products, multiplied by V / V_run.
SPREAD = ["V_run", "scaled", "rounds", "seconds_median", "seconds_min", "seconds_max"]
RATIO = "ratio_to_fastest_peer"
TIMING = [*IDENTITY, *SPREAD, "estimate", "std_error", RATIO, "unsupported_reason"]
PRECISION = ["problem", "quantity", "estimator", "samples", "relative_std_dev", "V"]
ONE_PERCENT = [*IDENTITY, *SPREAD, RATIO]
CURVE = [*IDENTITY, "seeds", "seconds_median", "relative_rmse"]
BUDGET = [*CURVE, "rmse_std_error", RATIO]
TABLES = {
    "timing": TIMING,
    "error_curve": CURVE,
    "precision": PRECISION,
    "one_percent": ONE_PERCENT,
    "equal_budget": BUDGET,
}


def alternate(
    work: list[tuple[Candidate, int]], rounds: int, timeout: float, turn: int = 1
) -> list[tuple[Candidate, int, list[dict]]]:
    """Warm each candidate up with its V, then let all take turns; candidates that fail drop out.

    A turn is as many runs in a row.
    """
    able = []
    for candidate, V in work:
        answer = candidate.warm_up(V, timeout)
        if "error" in answer:
            candidate.unsupported = answer["error"]
        else:
            able.append((candidate, V, []))
    for first in range(0, rounds, turn):
        for candidate, V, answers in able:
            if candidate.seconds_per_probe * V < SHORT:
                candidate.ask(V, first, timeout)
            for seed in range(first, min(first + turn, rounds)):
                answer = candidate.ask(V, seed, timeout)
                if "error" not in answer:
                    answers.append(answer)
    return [(candidate, V, answers) for candidate, V, answers in able if answers]


def spread(candidate: Candidate, answers: list[dict], V: int, V_run: int) -> dict:
    """Median, smallest and largest time of runs of V_run products, scaled to the V of the row."""
    seconds = [answer["seconds"] * V / V_run for answer in answers]
    return {
        "V_run": V_run if candidate.samples else None,
        "scaled": str(V != V_run).lower() if candidate.samples else None,
        "rounds": len(seconds),
        "seconds_median": median(seconds),
        "seconds_min": min(seconds),
        "seconds_max": max(seconds),
    }


def set_ratios(rows: list[tuple[Candidate, dict]], rivals: Callable[..., bool]) -> None:
    """Fill in the ratio: against the fastest row of other people's that is a rival."""
    for candidate, row in rows:
        others = [
            other["seconds_median"]
            for peer, other in rows
            if not peer.worker.is_ours and rivals(candidate, row, peer, other)
        ]
        if others:
            row[RATIO] = row["seconds_median"] / min(others)


def timing(problem: str, candidates: list[Candidate], options: argparse.Namespace) -> list[dict]:
    """Time every method for the same V.

    A method too slow for that runs as many probes (V_run) as fit into `run_seconds`, and its times are
    scaled up to V; one that needs all V at once is not scaled, but stands in the table with the smaller V.
    """
    able = [candidate for candidate in candidates if not candidate.unsupported]
    work = [(candidate, candidate.affordable(options.V, options.run_seconds)) for candidate in able]
    rows = []
    for candidate, V_run, answers in alternate(work, options.rounds, options.timeout):
        V = V_run if candidate.method in WHOLE else options.V
        errors = [a["std_error"] for a in answers if a.get("std_error") is not None]
        candidate.answers = answers
        row = candidate.identity(problem, V) | spread(candidate, answers, V, V_run)
        row["estimate"] = answers[0]["estimate"]
        row["std_error"] = math.sqrt(mean(e * e for e in errors) * V_run / V) if errors else None
        rows.append((candidate, row))
    set_ratios(rows, lambda a, row, b, other: (a.quantity, row["V"]) == (b.quantity, other["V"]))
    unsupported = [
        candidate.identity(problem, options.V) | {"unsupported_reason": candidate.unsupported}
        for candidate in candidates
        if candidate.unsupported
    ]
    return [row for _, row in rows] + unsupported


def one_percent(
    problem: str, candidates: list[Candidate], precision: list[dict], options: argparse.Namespace
) -> list[dict]:
    """Time every method for the V that brings its standard error down to 1 % of the exact trace.

    V is that of `precision`, the same for all libraries. The ratio is against the fastest peer that
    samples, whatever it multiplies with. All take turns here too, those that are too slow for their
    V with fewer probes, scaled: so that ratios are of the same minutes.
    """
    needed = {(row["quantity"], row["estimator"]): row["V"] for row in precision}
    work = []
    for candidate in candidates:
        V = needed.get(space(candidate)) if candidate.samples else 1
        V_run = V and (V if candidate.method in WHOLE else candidate.affordable(V, options.run_seconds))
        if V and candidate.seconds_per_probe * V_run <= options.timeout:
            work.append((candidate, V_run))
    rows = []
    for candidate, V_run, answers in alternate(work, options.rounds, options.timeout):
        V = needed[space(candidate)] if candidate.samples else 1
        rows.append((candidate, candidate.identity(problem, V) | spread(candidate, answers, V, V_run)))
    set_ratios(rows, lambda a, row, b, other: b.samples)
    return [row for _, row in rows]


def error_curve(
    problem: str, candidates: list[Candidate], exact: float, options: argparse.Namespace
) -> list[dict]:
    """Relative root mean square error over seeds against seconds, V by V, within a time budget."""
    rows = []
    for candidate in candidates:
        left = options.curve_seconds
        for V in CURVE_V if candidate.samples else [1]:
            expected = candidate.seconds_per_probe * V if candidate.samples else 0.0
            if candidate.unsupported or expected * FEWEST_SEEDS > left:
                break
            if "error" in candidate.warm_up(V, options.timeout):
                continue
            answers: list[dict] = []
            while len(answers) < CURVE_SEEDS and (left > 0 or len(answers) < FEWEST_SEEDS):
                answer = candidate.ask(V, len(answers), options.timeout)
                if "error" in answer:
                    break
                answers.append(answer)
                left -= answer["seconds"]
            if len(answers) < FEWEST_SEEDS:
                break
            rows.append(candidate.identity(problem, V) | errors(answers, exact))
    return rows


def errors(answers: list[dict], exact: float) -> dict:
    """Median time and relative root mean square error of several seeds."""
    squares = [(answer["estimate"] / exact - 1) ** 2 for answer in answers]
    return {
        "seeds": len(answers),
        "seconds_median": median(answer["seconds"] for answer in answers),
        "relative_rmse": math.sqrt(mean(squares)),
    }


def equal_budget(
    problem: str, candidates: list[Candidate], exact: float, options: argparse.Namespace
) -> list[dict]:
    """Estimators that several libraries have, at the same numbers of products.

    Libraries take turns of ten seeds. The standard error of a root mean square over n seeds is
    about 1 / sqrt(2 n) of it. The ratio is to the fastest peer with the same estimator, product and V.
    """
    able = [c for c in candidates if c.method in SHARED]
    rows = []
    for V in BUDGET_V:
        affordable = [c for c in able if c.seconds_per_probe * V * BUDGET_SEEDS <= options.budget_seconds]
        work = [(candidate, V) for candidate in affordable]
        for candidate, _, answers in alternate(work, BUDGET_SEEDS, options.timeout, BUDGET_TURN):
            row = candidate.identity(problem, V) | errors(answers, exact)
            row["rmse_std_error"] = row["relative_rmse"] / math.sqrt(2 * len(answers))
            rows.append((candidate, row))

    def same(a: Candidate, row: dict, b: Candidate, other: dict) -> bool:
        return (SHARED[a.method], a.quantity, row["V"]) == (SHARED[b.method], b.quantity, other["V"])

    set_ratios(rows, same)
    return [row for _, row in rows]


def compare(folder: Path, logs: Path, options: argparse.Namespace) -> dict:
    """Everything for one problem; returns the versions of all workers."""
    out = options.out / folder.name
    out.mkdir(parents=True, exist_ok=True)
    tables = {
        name: open_table(out / f"{name}.csv", columns)
        for name, columns in TABLES.items()
    }
    problem = json.loads((folder / "problem.json").read_text())
    here = Path(__file__).parent
    commands = {name: [sys.executable, str(here / f"peer_{name}.py")] for name in options.peers}
    workers = [Worker(c, folder, logs / f"{name}.log") for name, c in commands.items()]
    if options.ours:
        workers.append(Worker(shlex.split(options.ours), folder, logs / "ours.log", is_ours=True))
    candidates = [
        Candidate(
            worker, m["method"], m["quantity"], m["V_batch"], m["unsupported"] or left_out(worker, m, options)
        )
        for worker in workers
        for m in worker.methods
    ]
    tune_all(folder.name, candidates, options)
    exact = problem["exact_trace"]
    clock = time.monotonic()

    def write(name: str, rows: list[dict]) -> list[dict]:
        tables[name](rows)
        print(f"{folder.name} {name}: {len(rows)} rows after {time.monotonic() - clock:.0f} s", flush=True)
        return rows

    write("timing", timing(folder.name, candidates, options))
    able = [candidate for candidate in candidates if candidate.answers]
    curve = write("error_curve", error_curve(folder.name, able, exact, options))
    found = products_for_one_percent(able, curve, exact, options.precision_seconds, options.timeout)
    precision = write("precision", [{"problem": folder.name} | row for row in found])
    write("one_percent", one_percent(folder.name, able, precision, options))
    write("equal_budget", equal_budget(folder.name, able, exact, options))
    for worker in workers:
        worker.close()
    return {worker.name: worker.versions for worker in workers}


def left_out(worker: Worker, method: dict, options: argparse.Namespace) -> str | None:
    """Why the method is not run, if the command line says so."""
    name = f"{worker.name}/{method['method']}/{method['quantity']}"
    return "left out" if any(fnmatch(name, pattern) for pattern in options.leave_out) else None


def tune_all(problem: str, candidates: list[Candidate], options: argparse.Namespace) -> None:
    """Find every method's best V_batch, and say it."""
    for candidate in candidates:
        clock = time.monotonic()
        if not candidate.unsupported:
            tune(candidate, options.V, options.tune_seconds, options.timeout)
        found = candidate.unsupported or (
            f"V_batch {candidate.V_batch}, {candidate.seconds_per_probe * 1e3:.4g} ms per probe"
        )
        name = f"{candidate.worker.name} {candidate.method} {candidate.quantity}"
        print(f"{problem} {name}: {found}, found in {time.monotonic() - clock:.0f} s", flush=True)


def open_table(path: Path, columns: list[str]) -> Callable[[list[dict]], None]:
    """Start a CSV file; the function returned appends rows. Missing values are empty cells."""
    path.write_text(",".join(columns) + "\n")

    def append(rows: list[dict]) -> None:
        with path.open("a", newline="") as file:
            csv.DictWriter(file, columns, lineterminator="\n").writerows(rows)

    return append


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", help="command of our own worker; the problem folder is appended to it")
    parser.add_argument("--problems", type=Path, required=True, help="folder written by make_problems.py")
    parser.add_argument("--only", nargs="+", help="names of the problems to run; default: all")
    parser.add_argument("--peers", nargs="*", default=PEERS, help="default: %(default)s")
    parser.add_argument(
        "--leave-out", nargs="+", default=[], metavar="PEER/METHOD/QUANTITY", help="patterns; the tables name them"
    )
    parser.add_argument("--out", type=Path, default=Path("results/compare"))
    parser.add_argument("--V", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    # Short runs scaled to V would count a set-up, once a run, many times.
    parser.add_argument("--run-seconds", type=float, default=5, help="longest run: V, or as many as fit")
    parser.add_argument("--tune-seconds", type=float, default=5, help="per method, to find V_batch")
    parser.add_argument("--curve-seconds", type=float, default=2, help="per method, for the error curve")
    parser.add_argument("--precision-seconds", type=float, default=10, help="per matrix and probe space")
    parser.add_argument("--budget-seconds", type=float, default=5, help="per method and V at equal V")
    parser.add_argument("--timeout", type=float, default=300, help="a worker that takes longer is given up")
    parser.add_argument("--quick", action="store_true", help="tiny budgets: does it work at all?")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    return options


def main() -> None:
    """Compare on every problem that is asked for."""
    options = parse()
    folders = sorted(path.parent for path in options.problems.glob("*/problem.json"))
    folders = [folder for folder in folders if not options.only or folder.name in options.only]
    if not folders or (options.only and len(folders) < len(set(options.only))):
        found = [folder.name for folder in folders]
        sys.exit(f"found {found} in {options.problems}, expected {options.only}; run make_problems.py first")
    logs = Path(tempfile.mkdtemp(prefix="compare-"))
    print(f"what the workers print goes to {logs}", flush=True)
    for folder in folders:
        record = describe() | {"rounds": options.rounds, "quick": options.quick}
        record |= {"workers": compare(folder, logs, options), "finished": now()}
        (options.out / folder.name / "machine.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
