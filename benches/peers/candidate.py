"""One method of one worker on one problem, and the search for its best chunk size."""

import math
from dataclasses import dataclass, field

from worker import Worker

# What an estimator that needs all its products at once is first tried with. A multiple of 6 suits Hutch++,
# which spends its products in thirds, and XTrace, which spends them in halves.
FIRST_V = 30
# Where the search for the best V_batch begins, unless as many probes take longer than all of the search may.
FIRST_V_BATCH = 20
TRIALS = 3
# Another size is better if it takes at most so much of the time: less may be noise, and larger chunks take long.
BETTER = 0.97
# What a timed run takes of the time for the search, so that a set-up, once a run, weighs the same in all sizes.
RUN_SHARE = 1 / 5
# Sizes that take at most so many times as long as the fastest are run again, in turns, as often as this.
CLOSE, AGAIN = 1.25, 3
# What a compiler may take before a first answer, beyond the time for the answer itself.
COMPILE_SECONDS = 600
# Estimators that need all their products at once; their error does not fall as 1 / sqrt(V).
WHOLE = ("hutchpp", "xtrace")


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
    answers: list[dict] = field(default_factory=list)

    @property
    def samples(self) -> bool:
        """Whether the method draws probes at all."""
        return self.quantity != "exact"

    @property
    def step(self) -> int:
        """The fewest probes that it is asked for."""
        return self.V_batch or (FIRST_V if self.method in WHOLE else 1)

    def ask(self, V: int, seed: int, timeout: float) -> dict:
        """Let the worker do the work once."""
        V_batch = self.V_batch and min(self.V_batch, V)
        request = {"method": self.method, "quantity": self.quantity, "V": V, "V_batch": V_batch, "seed": seed}
        answer = self.worker.ask(request, timeout)
        if "error" not in answer and not math.isfinite(answer["estimate"]):
            return {"error": f"the estimate is {answer['estimate']}"}
        return answer | {"V": V}

    def warm_up(self, V: int, timeout: float) -> dict:
        """Let the worker do the work once, without looking at the time: what is to compile, compiles."""
        return self.ask(V, 0, timeout + COMPILE_SECONDS)

    def affordable(self, V: int, seconds: float) -> int:
        """V, or the multiple of V_batch nearest below that takes no longer than `seconds`."""
        if not self.samples or self.seconds_per_probe * V <= seconds:
            return V
        return max(self.step, int(seconds / self.seconds_per_probe) // self.step * self.step)

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

    From FIRST_V_BATCH up and then down, until two sizes in a row are not BETTER; on wide networks from the
    smallest size up. `seconds` are those of timed runs, never of compilation, and end a direction only
    once a size was no better: as long as chunks get faster, the search goes on to the largest. Sizes close
    to the fastest are then run again, since a long chunk was timed once, and luck may have chosen it.
    """
    sizes = candidate.V_batches or [None]
    search = Search(candidate, V, seconds, timeout)
    best = search.first(sizes)
    for way in (1, -1):
        misses, i = 0, best
        if search.time(sizes[best]) == math.inf and way == 1:
            continue  # what a chunk of this size does not fit into, a larger one will not either
        while misses < 2 and not (misses and search.spent > seconds):
            i += way
            if not 0 <= i < len(sizes):
                break
            if search.time(sizes[i]) < BETTER * search.time(sizes[best]):
                best, misses = i, 0
            else:
                misses += 1
    candidate.V_batch, candidate.seconds_per_probe = search.settle()
    if candidate.seconds_per_probe == math.inf:
        candidate.unsupported = search.failure


class Search:
    """Times per probe by V_batch, each found once."""

    def __init__(self, candidate: Candidate, V: int, seconds: float, timeout: float):
        self.candidate, self.V, self.seconds, self.timeout = candidate, V, seconds, timeout
        self.spent = 0.0
        self.failure = "no chunk size could be timed"
        self.known: dict[int | None, float] = {}

    def first(self, sizes: list[int | None]) -> int:
        """Where to begin among `sizes`."""
        if len(sizes) == 1:
            return 0
        near = min(range(len(sizes)), key=lambda i: abs(sizes[i] - FIRST_V_BATCH))
        too_long = self.seconds < self.time(sizes[0]) * FIRST_V_BATCH < math.inf
        return 0 if too_long else near

    def time(self, V_batch: int | None) -> float:
        """Seconds per probe; infinite where it fails."""
        if V_batch not in self.known:
            self.known[V_batch] = self._measure(V_batch)
        return self.known[V_batch]

    def settle(self) -> tuple[int | None, float]:
        """The fastest size and its time per probe, where several are close from runs of about as many probes."""
        fastest = min(self.known, key=self.known.__getitem__)
        near = {size: time for size, time in self.known.items() if time < CLOSE * self.known[fastest]}
        # A chunk that takes longer than all of the search may is not run again: long runs vary less.
        close = [size for size, time in near.items() if time * (size or 1) <= self.seconds]
        if len(close) < 2:
            return fastest, self.known[fastest]
        V = {size: max(close) // size * size for size in close}
        times = dict.fromkeys(close, math.inf)
        for run in range(1 + AGAIN):
            for size in close:
                self.candidate.V_batch = size
                # The first run may compile.
                if run == 0:
                    self.candidate.warm_up(V[size], self.timeout)
                    continue
                answer = self.candidate.ask(V[size], run, self.timeout)
                times[size] = min(times[size], answer.get("seconds", math.inf) / V[size])
        times = near | times
        fastest = min(times, key=times.__getitem__)
        return fastest, times[fastest]

    def _measure(self, V_batch: int | None) -> float:
        """The best of some runs, of about as many probes for every size, at least one chunk."""
        candidate = self.candidate
        candidate.V_batch = V_batch
        chunk = candidate.step
        once = self._run(chunk)
        if once == math.inf:
            return once
        candidate.seconds_per_probe = min([once / chunk, *self.known.values()])
        run_seconds = self.seconds * RUN_SHARE
        V = max(chunk, candidate.affordable(self.V, run_seconds) // chunk * chunk)
        if V == chunk and once > run_seconds:
            return once / chunk
        return self._run(V, TRIALS) / V

    def _run(self, V: int, trials: int = 1) -> float:
        """The shortest of some runs, after one that compiles; infinite where one fails."""
        answers = [self.candidate.warm_up(V, self.timeout)]
        while "error" not in answers[-1] and len(answers) <= trials:
            answers.append(self.candidate.ask(V, len(answers), self.timeout))
        if "error" in answers[-1]:
            self.failure = answers[-1]["error"]
            return math.inf
        timed = [answer["seconds"] for answer in answers[1:]]
        self.spent += sum(timed)
        return min(timed)
