"""One method of one worker on one problem, and the search for its best chunk size."""

import math
from dataclasses import dataclass, field
from statistics import mean

from worker import Worker

# What a method without a choice of V_batch is first tried with. A multiple of 6 suits Hutch++,
# which spends its products in thirds, and XTrace, which spends them in halves.
FIRST_V = 30


@dataclass
class Candidate:
    """One method of one worker on one problem, and what is known about it so far."""

    worker: Worker
    method: str
    quantity: str
    V_batches: list[int] | None
    unsupported: str | None
    V_batch: int | None = None
    seconds_per_probe: float = 0.0
    V_run: int = 0
    answers: list[dict] = field(default_factory=list)

    @property
    def samples(self) -> bool:
        """Whether the method draws probes at all."""
        return self.quantity != "exact"

    def ask(self, V: int, seed: int, timeout: float, warmup: bool = False) -> dict:
        """Let the worker do the work once."""
        V_batch = self.V_batch and min(self.V_batch, V)
        request = {"method": self.method, "quantity": self.quantity, "V": V, "V_batch": V_batch, "seed": seed}
        answer = self.worker.ask(request | {"warmup": True} if warmup else request, timeout)
        if "error" not in answer and not math.isfinite(answer["estimate"]):
            return {"error": f"the estimate is {answer['estimate']}"}
        return answer

    def affordable(self, V: int, seconds: float) -> int:
        """V, or the multiple of V_batch nearest below that takes no longer than `seconds`."""
        if not self.samples or self.seconds_per_probe * V <= seconds:
            return V
        step = self.V_batch or FIRST_V
        return max(step, int(seconds / self.seconds_per_probe) // step * step)

    def probes_to_one_percent(self, exact: float) -> int | None:
        """The V that brings the standard error down to 1 % of the exact trace; None where unknown."""
        if not self.samples:
            return 1
        errors = [a["std_error"] for a in self.answers if a.get("std_error") is not None]
        if not errors:
            return None
        return max(1, math.ceil(self.V_run * mean(e * e for e in errors) / (0.01 * exact) ** 2))

    def identity(self, problem: str, V: int) -> dict:
        """The columns that say whose row this is."""
        return {
            "problem": problem,
            "peer": self.worker.name,
            "version": next(iter(self.worker.versions.values())),
            "method": self.method,
            "quantity": self.quantity,
            "V": V if self.samples else None,
            "V_batch": self.V_batch,
        }


def tune(candidate: Candidate, V: int, seconds: float, timeout: float) -> None:
    """Find the best V_batch and the time per probe; a method that fails becomes unsupported.

    Goes up through the chunk sizes until two in a row are clearly worse, or time is up.
    """
    best, worse, spent = math.inf, 0, 0.0
    best_V_batch, failure = None, "no chunk size could be timed"
    for V_batch in candidate.V_batches or [None]:
        candidate.V_batch = V_batch
        first = candidate.ask(V_batch or FIRST_V, 0, timeout, warmup=True)
        again = first if "error" in first else candidate.ask(V_batch or FIRST_V, 0, timeout)
        if "error" in again:
            failure = again["error"]
            continue
        candidate.seconds_per_probe = again["seconds"] / (V_batch or FIRST_V)
        runs = candidate.affordable(max(V, V_batch or 0), seconds / 20)
        runs -= runs % (V_batch or 1)
        trials = [candidate.ask(runs, seed, timeout) for seed in range(3)]
        per_probe = min((t["seconds"] / runs for t in trials if "error" not in t), default=math.inf)
        worse = worse + 1 if per_probe > 1.1 * best else 0
        if per_probe < best:
            best, best_V_batch = per_probe, V_batch
        spent += first["seconds"] + again["seconds"] + sum(t.get("seconds", 0.0) for t in trials)
        if worse == 2 or spent > seconds:
            break
    candidate.V_batch, candidate.seconds_per_probe = best_V_batch, best
    if best == math.inf:
        candidate.unsupported = failure
