#!/usr/bin/env python3
"""Compares the runner with BackPACK and curvlinops on the same weights, data and vectors.

    python tools/crosscheck.py RUNNER OUT_FOLDER

For every network of CASES: BackPACK's DiagHessian against `exact`, per parameter; BackPACK's HMP and
curvlinops' HessianLinearOperator against `hmp`, as vᵀHv with the signs v that PyTorch draws from
seeds 0 and 1. All in float64. Writes OUT_FOLDER/crosscheck.csv, a row per comparison, and fails where
a relative error exceeds TOLERANCE. Needs the environment that benches/peers/setup.sh makes.
"""

from __future__ import annotations

import copy
import csv
import sys
import tempfile
from pathlib import Path

import backpack
import curvlinops
import torch
from backpack import extensions
from check_export import ESTIMATORS, data, ordered, run, signs
from export_torch import export
from safetensors.torch import save_file
from torch import nn

TOLERANCE = 1e-8
CLASSES = 3
SEEDS = (0, 1)


def mlp(activation: type[nn.Module]) -> nn.Sequential:
    layers = [nn.Flatten(), nn.Linear(12, 6), activation(), nn.Linear(6, 5), activation()]
    return nn.Sequential(*layers, nn.Linear(5, CLASSES))


CASES = {
    "sigmoid MLP": (lambda: mlp(nn.Sigmoid), (5, 3, 4)),
    "tanh MLP": (lambda: mlp(nn.Tanh), (5, 3, 4)),
    "relu MLP": (lambda: mlp(nn.ReLU), (5, 3, 4)),
    "elu MLP": (lambda: mlp(nn.ELU), (5, 3, 4)),
    "conv, tanh, max pool": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, CLASSES)
        ),
        (4, 2, 4, 5),
    ),
    "conv, sigmoid, average pool, stride": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 2, stride=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3, CLASSES)
        ),
        (4, 2, 5, 4),
    ),
    "conv1d": (
        lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(9, CLASSES)),
        (4, 2, 5),
    ),
    "conv transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 2, 2), nn.Sigmoid(), nn.Flatten(), nn.Linear(24, CLASSES)),
        (4, 2, 2, 3),
    ),
}


def ours(runner: str, module: nn.Module, x, y) -> tuple[list[dict[str, str]], list[dict[str, str]], list[str]]:
    """The rows of records.csv and parameters.csv, and the names of the parameters in order."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        layers = export(module, folder)
        save_file({"x": x, "y": y}, folder / "data.safetensors")
        text = (folder / "model.toml").read_text()
        spec = text[: text.index("[sampling]")].replace("[data]", 'dtype = "float64"\n\n[data]', 1)
        spec += ESTIMATORS + '\n[[estimator]]\nkind = "exact"\n'
        for blocks in ("full", "parameter"):
            spec += f'\n[[estimator]]\nkind = "hutchinson"\nblocks = "{blocks}"\nproduct = "hmp"\n'
        records = run(runner, folder, spec)
        with open(folder / "out" / "parameters.csv") as file:
            parts = list(csv.DictReader(file))
    return records, parts, [name for name, _ in ordered(module, layers)]


def diag_h(module: nn.Module, x, y) -> list[float]:
    module = copy.deepcopy(module)
    model, loss = backpack.extend(module), backpack.extend(nn.CrossEntropyLoss())
    with backpack.backpack(extensions.DiagHessian()):
        loss(model(x), y).backward()
    return [p.diag_h.sum().item() for p in module.parameters()]


def hmp(module: nn.Module, x, y, seed: int) -> float:
    module = copy.deepcopy(module)
    model, loss = backpack.extend(module), backpack.extend(nn.CrossEntropyLoss())
    with backpack.backpack(extensions.HMP()):
        loss(model(x), y).backward()
    parameters = list(module.parameters())
    v = signs(parameters, seed)
    return sum((v * p.hmp(v.unsqueeze(0))[0]).sum().item() for p, v in zip(parameters, v))


def hessian(module: nn.Module, x, y, seed: int) -> float:
    parameters = [p for p in module.parameters()]
    matrix = curvlinops.HessianLinearOperator(module, nn.CrossEntropyLoss(), parameters, [(x, y)])
    v = torch.cat([v.flatten() for v in signs(parameters, seed)])
    return (v @ (matrix @ v)).item()


def comparisons(runner: str, case: str):
    """Case, library, quantity, seed, theirs, ours; theirs empty where the library refuses."""
    make, shape = CASES[case]
    torch.manual_seed(3)
    module = make().double().eval()
    x, y = data(shape, CLASSES, torch.float64)
    records, parts, names = ours(runner, module, x, y)

    def theirs(call, *arguments):
        try:
            return call(module, x, y, *arguments), ""
        except (NotImplementedError, RuntimeError, ValueError) as error:
            return None, str(error).splitlines()[0][:100]

    traces, why = theirs(diag_h)
    for i, name in enumerate(names):
        (found,) = (p["estimate"] for p in parts if p["estimator"] == "exact" and p["parameter"] == name)
        yield case, "BackPACK", f"diag_h, {name}", "", traces and traces[i], float(found), why
    for library, call, blocks in [("BackPACK", hmp, "parameter"), ("curvlinops", hessian, "full")]:
        for seed in SEEDS:
            (found,) = (r["estimate"] for r in records if r["blocks"] == blocks and r["seed"] == str(seed))
            value, why = theirs(call, seed)
            yield case, library, f"{call.__name__}, vHv", seed, value, float(found), why


def main(runner: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    worst = 0.0
    with open(out / "crosscheck.csv", "w", newline="") as file:
        writer = csv.writer(file)
        columns = ["case", "library", "quantity", "seed", "theirs", "ours", "relative_error", "refused"]
        writer.writerow(columns)
        for case in CASES:
            for *key, value, found, why in comparisons(runner, case):
                error = None if value is None else abs(found - value) / max(abs(value), 1e-3)
                worst = max(worst, error or 0.0)
                writer.writerow([*key, "" if value is None else repr(value), repr(found), "" if error is None else f"{error:.2g}", why])
    print(f"{out / 'crosscheck.csv'}: largest relative error {worst:.2g}")
    if worst > TOLERANCE:
        sys.exit(f"expected at most {TOLERANCE:g}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
