"""Runs the same work in other people's libraries and in our program, alternating, and writes CSV.

    compare.py --problems DIR --out results/compare [--ours "COMMAND"]

For every problem folder, into a folder of its name: finds each method's best V_batch, times all
methods for the same V in alternating rounds (timing.csv), times them for the V that gives a
standard error of 1 % (one_percent.csv), follows the error against time (error_curve.csv), and
puts estimators that several libraries have side by side at equal V (equal_budget.csv).
Only one worker works at any moment.
"""

import argparse
import csv
import json
import math
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

from candidate import Candidate, tune
from worker import ENVIRONMENT, Worker

PEERS = ["backpack", "autograd", "functorch", "jax", "curvlinops", "matfree", "traceax"]
CURVE_V = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000]
CURVE_SEEDS = 20
FEWEST_SEEDS = 5
SHORT = 0.5  # seconds below which a run is led up to by another: caches are the worker's before
BUDGET_V = [30, 120, 360]  # multiples of 6: Hutch++ spends its products in thirds, XTrace in halves
BUDGET_SEEDS = 100
BUDGET_TURN = 10
# Of these the error does not fall as 1 / sqrt(V).
WHOLE = ("hutchpp", "xtrace")
SHARED = {"forward": "hutchinson", "hutchinson": "hutchinson", "hutchpp": "hutchpp", "xtrace": "xtrace"}
IDENTITY = ["problem", "peer", "version", "method", "quantity", "V", "V_batch"]
SPREAD = ["rounds", "seconds_median", "seconds_min", "seconds_max"]
RATIO = "ratio_to_fastest_peer"
TIMING = [*IDENTITY, "V_run", *SPREAD, "estimate", "std_error", RATIO, "unsupported_reason"]
ONE_PERCENT = [*IDENTITY, "V_run", *SPREAD, RATIO]
CURVE = [*IDENTITY, "seeds", "seconds_median", "relative_rmse"]
BUDGET = [*CURVE, "rmse_std_error", RATIO]
TABLES = {"timing": TIMING, "one_percent": ONE_PERCENT, "error_curve": CURVE, "equal_budget": BUDGET}


def alternate(
    work: list[tuple[Candidate, int]], rounds: int, timeout: float, turn: int = 1
) -> list[tuple[Candidate, int, list[dict]]]:
    """Warm each candidate up with its V, then let all take turns; candidates that fail drop out.

    A turn is as many runs in a row.
    """
    able = []
    for candidate, V in work:
        answer = candidate.ask(V, 0, timeout, warmup=True)
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


def spread(answers: list[dict], scale: float) -> dict:
    """Median, smallest and largest time, scaled to the V of the row."""
    seconds = [answer["seconds"] * scale for answer in answers]
    return {
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


def runs(candidate: Candidate, V: int, options: argparse.Namespace) -> int:
    """How many probes are run for V: all of them if that takes seconds only, else some."""
    whole = candidate.affordable(V, options.whole_seconds)
    return whole if whole == V else candidate.affordable(V, options.request_seconds)


def timing(problem: str, candidates: list[Candidate], options: argparse.Namespace) -> list[dict]:
    """Time every method for the same V.

    A method too slow for that runs fewer probes (V_run), and its times are scaled up to V; one that
    needs all V at once is not scaled, but stands in the table with the smaller V.
    """
    able = [candidate for candidate in candidates if not candidate.unsupported]
    work = [(candidate, runs(candidate, options.V, options)) for candidate in able]
    rows = []
    for candidate, V_run, answers in alternate(work, options.rounds, options.timeout):
        V = V_run if candidate.method in WHOLE else options.V
        errors = [a["std_error"] for a in answers if a.get("std_error") is not None]
        candidate.V_run, candidate.answers = V_run, answers
        row = candidate.identity(problem, V)
        row |= spread(answers, V / V_run) | {"estimate": answers[0]["estimate"]}
        row["V_run"] = V_run if candidate.samples else None
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
    problem: str, candidates: list[Candidate], curve: list[dict], exact: float, options: argparse.Namespace
) -> list[dict]:
    """Time every method for the V that brings its standard error down to 1 % of the exact trace.

    V follows from the standard errors seen in `timing`, which fall as 1 / sqrt(V) where probes are
    independent; where they are not, from where the error curve falls below 1 %. The ratio is
    against the fastest peer that samples, whatever it multiplies with. All take turns here too, those
    that are too slow for their V with fewer probes, scaled: so that ratios are of the same minutes.
    """
    work, needed = [], {}
    for candidate in candidates:
        if candidate.method in WHOLE:
            V = crossing(candidate, curve, 0.01)
        else:
            V = candidate.probes_to_one_percent(exact)
        if V:
            needed[id(candidate)] = V
            work.append((candidate, runs(candidate, V, options)))
    turns = alternate(work, options.rounds, options.timeout)
    rows = [(c, one_percent_row(problem, c, needed[id(c)], V_run, answers)) for c, V_run, answers in turns]
    set_ratios(rows, lambda a, row, b, other: b.samples)
    return [row for _, row in rows]


def crossing(candidate: Candidate, curve: list[dict], error: float) -> int | None:
    """The V at which a method's error curve falls below `error`, between its points on log scales."""
    own = candidate.identity("", 0)
    rows = [row for row in curve if all(row[key] == own[key] for key in ("peer", "method", "quantity"))]
    for before, after in zip(rows, rows[1:]):
        high, low = before["relative_rmse"], after["relative_rmse"]
        if high > error >= low:
            part = math.log(high / error) / math.log(high / low)
            V = before["V"] * (after["V"] / before["V"]) ** part
            return math.ceil(V / 6) * 6
    return None


def one_percent_row(
    problem: str, candidate: Candidate, V: int, V_run: int, answers: list[dict]
) -> dict:
    """One row of one_percent.csv, from runs of V_run probes."""
    row = candidate.identity(problem, V) | spread(answers, V / V_run)
    row["V_run"] = V_run if candidate.samples else None
    return row


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
            if "error" in candidate.ask(V, 0, options.timeout, warmup=True):
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
        Candidate(worker, m["method"], m["quantity"], m["V_batch"], m["unsupported"])
        for worker in workers
        for m in worker.methods
    ]
    for candidate in candidates:
        if not candidate.unsupported:
            tune(candidate, options.V, options.tune_seconds, options.timeout)
        found = candidate.unsupported or (
            f"V_batch {candidate.V_batch}, {candidate.seconds_per_probe * 1e3:.4g} ms per probe"
        )
        name = f"{candidate.worker.name} {candidate.method} {candidate.quantity}"
        print(f"{folder.name} {name}: {found}", flush=True)
    exact = problem["exact_trace"]
    tables["timing"](timing(folder.name, candidates, options))
    able = [candidate for candidate in candidates if candidate.answers]
    curve = error_curve(folder.name, able, exact, options)
    tables["error_curve"](curve)
    tables["one_percent"](one_percent(folder.name, able, curve, exact, options))
    tables["equal_budget"](equal_budget(folder.name, able, exact, options))
    for worker in workers:
        worker.close()
    return {worker.name: worker.versions for worker in workers}


def open_table(path: Path, columns: list[str]) -> Callable[[list[dict]], None]:
    """Start a CSV file; the function returned appends rows. Missing values are empty cells."""
    path.write_text(",".join(columns) + "\n")

    def append(rows: list[dict]) -> None:
        with path.open("a", newline="") as file:
            csv.DictWriter(file, columns, lineterminator="\n").writerows(rows)

    return append


def cpu_name() -> str:
    """The processor as /proc/cpuinfo names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", help="command of our own worker; the problem folder is appended to it")
    parser.add_argument("--problems", type=Path, required=True, help="folder written by make_problems.py")
    parser.add_argument("--only", nargs="+", help="names of the problems to run; default: all")
    parser.add_argument("--peers", nargs="*", default=PEERS, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("results/compare"))
    parser.add_argument("--V", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole-seconds", type=float, default=20, help="longest run of all probes")
    parser.add_argument("--request-seconds", type=float, default=2, help="longest run of some instead")
    parser.add_argument("--tune-seconds", type=float, default=12, help="per method, to find V_batch")
    parser.add_argument("--curve-seconds", type=float, default=4, help="per method, for the error curve")
    parser.add_argument("--budget-seconds", type=float, default=10, help="per method and V at equal V")
    parser.add_argument("--timeout", type=float, default=300, help="a worker that takes longer is given up")
    options = parser.parse_args()

    folders = sorted(path.parent for path in options.problems.glob("*/problem.json"))
    folders = [folder for folder in folders if not options.only or folder.name in options.only]
    logs = Path(tempfile.mkdtemp(prefix="compare-"))
    print(f"what the workers print goes to {logs}", flush=True)
    for folder in folders:
        record = {
            "cpu": cpu_name(),
            "threads": len(os.sched_getaffinity(0)),
            "load_before": os.getloadavg()[0],
            "python": platform.python_version(),
            "system": platform.platform(),
            "environment": ENVIRONMENT,
            "rounds": options.rounds,
            "workers": compare(folder, logs, options),
        }
        (options.out / folder.name / "versions.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
