"""What every peer shares: the problem folder and the worker protocol.

A worker is started with one argument, a problem folder, and speaks JSON lines:

    -> (start)                                          {"ready": true, "name", "versions", "methods"}
    <- {"method", "quantity", "V", "V_batch", "seed"}   {"seconds", "estimate", "std_error", "samples"}
    <- {"quit": true}                                   (exit)

What is asked first with a V and a V_batch compiles and touches memory: the driver does not use its
time. A request that fails is answered with {"error": "..."} and the worker goes on.
"""

import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy
from safetensors.numpy import load_file

V_BATCHES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
THREADS = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Problem:
    """A network as a list of layers, its weights, its loss and one batch of data."""

    name: str
    layers: list[dict]
    loss: str
    reduction: str
    x: numpy.ndarray
    y: numpy.ndarray
    weights: dict[str, numpy.ndarray]


class Estimate(NamedTuple):
    """The trace, its standard error, and how many independent samples that error was found from."""

    estimate: float
    std_error: float | None = None
    samples: int = 0


@dataclass(frozen=True)
class Method:
    """One way in which a library estimates the trace.

    `run(V, V_batch, seed)` returns the estimate.
    `quantity` says what is multiplied with: "block", "full", or "exact" where nothing is sampled.
    `V_batch` lists the chunk sizes that make sense; None where the library has no such choice.
    `unsupported` is the reason why this problem cannot be done this way.
    """

    method: str
    quantity: str
    run: Callable[[int, int | None, int], Estimate]
    V_batch: list[int] | None = None
    unsupported: str | None = None


def load_problem(folder: str) -> Problem:
    """Read problem.json, data.safetensors and model.safetensors."""
    root = Path(folder)
    description = json.loads((root / "problem.json").read_text())
    data = load_file(root / "data.safetensors")
    return Problem(
        name=description["name"],
        layers=description["layers"],
        loss=description["loss"]["kind"],
        reduction=description["loss"]["reduction"],
        x=data["x"],
        y=data["y"],
        weights=load_file(root / "model.safetensors"),
    )


def chunks(V: int, V_batch: int) -> list[int]:
    """V probes as chunks of V_batch and a shorter last one."""
    full, rest = divmod(V, V_batch)
    return [V_batch] * full + [rest] * (rest > 0)


def mean_of_chunks(sums: list[float], sizes: list[int]) -> Estimate:
    """Mean over all probes from each chunk's sum; standard error from the spread between chunks."""
    count = sum(sizes)
    mean = math.fsum(sums) / count
    if len(sizes) < 2:
        return Estimate(mean)
    deviations = (size * (total / size - mean) ** 2 for total, size in zip(sums, sizes))
    std_error = math.sqrt(math.fsum(deviations) / (len(sizes) - 1) / count)
    return Estimate(mean, std_error, len(sizes))


def mean_of_probes(values: numpy.ndarray) -> Estimate:
    """Mean and standard error of one value per probe."""
    values = numpy.asarray(values, dtype=numpy.float64)
    if values.size < 2:
        return Estimate(float(values.mean()))
    std_error = float(values.std(ddof=1) / math.sqrt(values.size))
    return Estimate(float(values.mean()), std_error, values.size)


def serve(name: str, packages: list[str], methods: list[Method]) -> None:
    """Announce the methods, then answer requests until told to quit."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers

    def answer(message: dict) -> None:
        answers.write(json.dumps(message) + "\n")

    answer(
        {
            "ready": True,
            "name": name,
            "versions": {package: version(package) for package in packages},
            "threads": THREADS,
            "methods": [
                {
                    "method": method.method,
                    "quantity": method.quantity,
                    "V_batch": method.V_batch,
                    "unsupported": method.unsupported,
                }
                for method in methods
            ],
        }
    )
    by_name = {(method.method, method.quantity): method for method in methods}
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("quit"):
            return
        try:
            method = by_name[request["method"], request["quantity"]]
            start = time.perf_counter()
            estimate = method.run(request["V"], request["V_batch"], request["seed"])
            seconds = time.perf_counter() - start
            answer({"seconds": seconds, **estimate._asdict()})
        except Exception as error:  # the protocol promises to go on after any failure
            traceback.print_exc()
            reason = str(error).strip().partition("\n")[0]
            answer({"error": f"{type(error).__name__}: {reason}"})
