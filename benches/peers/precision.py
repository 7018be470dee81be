"""How many products bring the standard error to 1 % of the exact trace: one number for all libraries.

Probes are the same random variables whoever draws them, so for each matrix and probe space the
variance of one is found once, from all runs of all libraries together. Where estimates are no means
of independent probes, the error curves of all libraries with that estimator are taken together.
"""

import math
from itertools import pairwise

from candidate import WHOLE, Candidate

# The variance of n samples is known to about sqrt(2 / n), here 1 %.
SAMPLES = 20_000
TARGET = 0.01


def space(candidate: Candidate) -> tuple[str, str]:
    """What is estimated by which random variable: quantity, and the estimator unless it is a mean."""
    return candidate.quantity, candidate.method if candidate.method in WHOLE else "mean"


def products_for_one_percent(
    candidates: list[Candidate], curve: list[dict], exact: float, seconds: float, timeout: float
) -> list[dict]:
    """One row per quantity and estimator that samples: V, and what it was found from.

    Means of which fewer than SAMPLES probes are known are sampled further for `seconds`, by
    whichever method draws them fastest.
    """
    rows = []
    for quantity, estimator in sorted({space(c) for c in candidates if c.samples}):
        own = [c for c in candidates if space(c) == (quantity, estimator)]
        if estimator in WHOLE:
            rows_of_it = [row for row in curve if (row["quantity"], row["method"]) == (quantity, estimator)]
            found = from_curves(rows_of_it)
        else:
            found = from_variance(own, exact, seconds, timeout)
        if found:
            rows.append({"quantity": quantity, "estimator": estimator} | found)
    return rows


def from_variance(own: list[Candidate], exact: float, seconds: float, timeout: float) -> dict | None:
    """V from the variance of one probe."""
    answers = [answer for candidate in own for answer in candidate.answers]
    fastest = min(own, key=lambda candidate: candidate.seconds_per_probe)
    while (known := sum(a["samples"] for a in answers)) < SAMPLES and seconds > 0:
        V = fastest.affordable(SAMPLES - known, seconds)
        answer = fastest.ask(V, len(answers), timeout)
        if "error" in answer or not answer["samples"]:
            break
        answers.append(answer)
        seconds -= answer["seconds"]
    variance, samples = pooled(answers)
    if not samples:
        return None
    relative = math.sqrt(variance) / abs(exact)
    V = max(1, math.ceil((relative / TARGET) ** 2))
    return {"samples": samples, "relative_std_dev": relative, "V": V}


def pooled(answers: list[dict]) -> tuple[float, int]:
    """The variance of one probe from the standard errors of many runs, and how many samples they had."""
    known = [a for a in answers if a["samples"] > 1]
    freedom = sum(a["samples"] - 1 for a in known)
    squares = sum((a["samples"] - 1) * a["V"] * a["std_error"] ** 2 for a in known)
    return (squares / freedom if freedom else 0.0), sum(a["samples"] for a in known)


def from_curves(rows: list[dict]) -> dict | None:
    """V where the error of all libraries together falls below the target, between points on log scales."""
    points = []
    for V in sorted({row["V"] for row in rows}):
        at = [row for row in rows if row["V"] == V]
        seeds = sum(row["seeds"] for row in at)
        squares = sum(row["seeds"] * row["relative_rmse"] ** 2 for row in at)
        points.append((V, math.sqrt(squares / seeds), seeds))
    for (low, high_error, _), (high, low_error, seeds) in pairwise(points):
        if high_error > TARGET >= low_error:
            part = math.log(high_error / TARGET) / math.log(high_error / low_error)
            V = math.ceil(low * (high / low) ** part / 6) * 6
            return {"samples": seeds, "relative_std_dev": None, "V": V}
    return None
