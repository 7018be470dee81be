#!/usr/bin/env python3
"""Compares the runner with BackPACK and curvlinops on the same weights, data and vectors.

    python tools/crosscheck.py RUNNER OUT_FOLDER

For every network of CASES: BackPACK's DiagHessian and DiagGGNExact against `exact`, per parameter;
BackPACK's HMP and curvlinops' HessianLinearOperator, GGNLinearOperator and EFLinearOperator (the
empirical Fisher) against `hmp`, as vᵀAv with the signs v that PyTorch draws from seeds 0 and 1.
Where a library differs, PyTorch's own double backward decides. The Monte-Carlo Fisher draws targets
at random in either program; its mean is the Gauss-Newton matrix. All in float64. Writes
OUT_FOLDER/crosscheck.csv, a row per comparison, and fails where a relative error exceeds TOLERANCE.
Needs the environment that benches/peers/setup.sh makes.
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
from check_export import data, ordered, run, signs, trained, written
from torch import nn

TOLERANCE = 1e-8
CLASSES = 3
SEEDS = (0, 1)


MATRICES = ("hessian", "ggn", "fisher_empirical")


def mlp(activation: type[nn.Module]) -> nn.Sequential:
    layers = [nn.Flatten(), nn.Linear(12, 6), activation(), nn.Linear(6, 5), activation()]
    return nn.Sequential(*layers, nn.Linear(5, CLASSES))


def head(features: int, *layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, CLASSES))


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
    "leaky relu MLP": (lambda: mlp(nn.LeakyReLU), (5, 3, 4)),
    "selu MLP": (lambda: mlp(nn.SELU), (5, 3, 4)),
    "log sigmoid MLP": (lambda: mlp(nn.LogSigmoid), (5, 3, 4)),
    "dropout in evaluation": (lambda: head(6, nn.Linear(4, 6), nn.Dropout(0.5), nn.Tanh()), (5, 4)),
    "zero padding": (
        lambda: head(18, nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(1, 2, 3), nn.Tanh()), (4, 1, 2, 4)
    ),
    "conv, groups, dilation": (
        lambda: head(24, nn.Conv2d(2, 4, 2, groups=2, dilation=2), nn.Sigmoid()), (4, 2, 4, 5)
    ),
    "conv1d, max pool": (lambda: head(6, nn.Conv1d(2, 3, 2), nn.Tanh(), nn.MaxPool1d(2)), (4, 2, 5)),
    "conv3d, average pool": (
        lambda: head(4, nn.Conv3d(1, 2, 2), nn.Sigmoid(), nn.AvgPool3d((1, 2, 2))), (4, 1, 2, 3, 5)
    ),
    "conv transposed 1d": (lambda: head(12, nn.ConvTranspose1d(2, 2, 2, stride=2), nn.Tanh()), (4, 2, 3)),
    "conv transposed 3d": (lambda: head(24, nn.ConvTranspose3d(1, 2, 2), nn.Tanh()), (4, 1, 1, 1, 2)),
    "adaptive average pool": (
        lambda: head(8, nn.Conv2d(1, 2, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(2)), (4, 1, 5, 5)
    ),
    "batch norm in evaluation": (
        lambda: trained(head(12, nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh())), (4, 1, 3, 4)
    ),
    "layer norm": (lambda: head(6, nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh()), (5, 4)),
    "linear at positions": (lambda: head(15, nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Sigmoid()), (5, 3, 4)),
    "silu under an overlapping max pool": (
        lambda: head(12, nn.Conv2d(1, 2, 2), nn.SiLU(), nn.MaxPool2d(3, stride=2, padding=1)), (4, 1, 5, 6)
    ),
    "squared error": (lambda: mlp(nn.Sigmoid), (5, 3, 4)),
}
SQUARED = {"squared error"}


def ours(runner: str, module: nn.Module, x, y) -> tuple[list[dict[str, str]], list[dict[str, str]], list[str]]:
    """The rows of records.csv and parameters.csv, and the names of the parameters in order."""
    estimators = []
    for matrix in MATRICES:
        estimators.append({"kind": "exact", "matrix": matrix})
        for blocks in ("full", "parameter"):
            products = {"kind": "hutchinson", "blocks": blocks, "product": "hmp"}
            estimators.append(products | {"matrix": matrix})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        records = run(runner, folder, written(module, x, y, folder) | {"estimator": estimators})
        with open(folder / "out" / "parameters.csv") as file:
            parts = list(csv.DictReader(file))
    return records, parts, [name for name, _ in ordered(module, x)]


def loss_for(y) -> nn.Module:
    return nn.MSELoss() if y.is_floating_point() else nn.CrossEntropyLoss()


def backpacked(extension, module: nn.Module, x, y) -> nn.Module:
    """A copy of the module after a backward pass with the extension."""
    module = backpack.extend(copy.deepcopy(module), use_converter=False)
    with backpack.backpack(extension):
        backpack.extend(loss_for(y))(module(x), y).backward()
    return module


def diag_h(module: nn.Module, x, y) -> list[float]:
    module = backpacked(extensions.DiagHessian(), module, x, y)
    return [p.diag_h.sum().item() for p in module.parameters()]


def diag_ggn(module: nn.Module, x, y) -> list[float]:
    module = backpacked(extensions.DiagGGNExact(), module, x, y)
    return [p.diag_ggn_exact.sum().item() for p in module.parameters()]


def hmp(module: nn.Module, x, y, seed: int) -> float:
    parameters = list(backpacked(extensions.HMP(), module, x, y).parameters())
    v = signs(parameters, seed)
    return sum((v * p.hmp(v.unsqueeze(0))[0]).sum().item() for p, v in zip(parameters, v))


def linear_operator(operator, module: nn.Module, x, y, seed: int) -> float:
    parameters = list(module.parameters())
    matrix = operator(module, loss_for(y), parameters, [(x, y)])
    v = torch.cat([v.flatten() for v in signs(parameters, seed)])
    return (v @ (matrix @ v)).item()


def hessian(*arguments) -> float:
    return linear_operator(curvlinops.HessianLinearOperator, *arguments)


def ggn(*arguments) -> float:
    return linear_operator(curvlinops.GGNLinearOperator, *arguments)


def fisher_empirical(*arguments) -> float:
    return linear_operator(curvlinops.EFLinearOperator, *arguments)


# Library, what it computes, and the matrix and blocks that are the same here.
DIAGONALS = [("BackPACK", diag_h, "hessian"), ("BackPACK", diag_ggn, "ggn")]
PRODUCTS = [
    ("BackPACK", hmp, "hessian", "parameter"),
    ("curvlinops", hessian, "hessian", "full"),
    ("curvlinops", ggn, "ggn", "full"),
    ("curvlinops", fisher_empirical, "fisher_empirical", "full"),
]


def comparisons(runner: str, case: str):
    """Case, library, quantity, seed, theirs, ours, note; theirs empty where the library refuses."""
    make, shape = CASES[case]
    torch.manual_seed(3)
    module = make().double().eval()
    x, y = data(shape, CLASSES, torch.float64)
    if case in SQUARED:
        y = torch.sin(torch.arange(len(y) * CLASSES, dtype=x.dtype)).reshape(len(y), CLASSES)
    records, parts, names = ours(runner, module, x, y)

    def theirs(call, *arguments):
        try:
            return call(module, x, y, *arguments), ""
        except (NotImplementedError, RuntimeError, ValueError) as error:
            return None, str(error).splitlines()[0][:100]

    for library, call, matrix in DIAGONALS:
        values, why = theirs(call)
        rows = [p for p in parts if p["estimator"] == "exact" and p["matrix"] == matrix]
        for i, name in enumerate(names):
            (found,) = (p["estimate"] for p in rows if p["parameter"] == name)
            yield case, library, f"{call.__name__}, {name}", "", values and values[i], float(found), why
    for library, call, matrix, blocks in PRODUCTS:
        rows = [r for r in records if r["matrix"] == matrix and r["blocks"] == blocks]
        for seed in SEEDS:
            (found,) = (r["estimate"] for r in rows if r["seed"] == str(seed))
            value, why = theirs(call, seed)
            if value is not None and differs(value, float(found)) and matrix == "hessian":
                right = double_backward(module, x, y, seed)
                why, value = f"theirs is {value!r}; compared with PyTorch's double backward", right
            yield case, library, f"{call.__name__}, vAv", seed, value, float(found), why


def differs(theirs: float, ours: float) -> bool:
    return abs(ours - theirs) / max(abs(theirs), 1e-3) > TOLERANCE


def double_backward(module: nn.Module, x, y, seed: int) -> float:
    parameters = list(module.parameters())
    v = signs(parameters, seed)
    gradient = torch.autograd.grad(loss_for(y)(module(x), y), parameters, create_graph=True)
    inner = sum((g * v).sum() for g, v in zip(gradient, v))
    return sum((h * v).sum() for h, v in zip(torch.autograd.grad(inner, parameters), v)).item()


def main(runner: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    worst = 0.0
    with open(out / "crosscheck.csv", "w", newline="") as file:
        writer = csv.writer(file)
        columns = ["case", "library", "quantity", "seed", "theirs", "ours", "relative_error", "note"]
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
