#!/usr/bin/env python3
"""Checks exported networks against PyTorch: vᵀHv of the whole Hessian, and the exact trace.

    python tools/check_export.py RUNNER [--large] [--fixture FOLDER]

Every network is exported, and `RUNNER` computes vᵀHv of its whole Hessian by every product, with the
random signs v that PyTorch draws from the same seed; PyTorch does the same on the module itself. The
small network's exact trace is compared too. `--large` adds torchvision's vgg11 (128 million
parameters, 5 GB of memory). `--fixture` writes the small network with PyTorch's own loss and traces
for tests/data_files.rs. Needs torch, torchvision and safetensors (benches/peers/setup.sh has them).
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
from curvature_runner import toml
from curvature_runner.export import export_layers, exported, on_disk

SAMPLING = {"V": 1, "V_batch": 1, "seeds": [0, 1], "stream": "torch"}


class Block(nn.Module):
    """A residual block with a projection, functional activations and a nested residual."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.project = nn.Conv2d(inputs, outputs, 1, stride=2)

    def forward(self, x):
        h = torch.tanh(self.norm(self.first(x)))
        h = h + F.gelu(self.second(h))
        return F.silu(h + self.project(x))


class Small(nn.Module):
    """Something of everything that an export can express, in few parameters."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ELU(), nn.Identity())
        self.block = Block(2, 3)
        self.left = nn.Conv2d(3, 1, 1)
        self.right = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Sigmoid())
        self.pool = nn.AvgPool2d(2, stride=1, padding=1)
        self.groups = nn.GroupNorm(1, 3)
        self.dropout = nn.Dropout(0.3)
        self.norm = nn.LayerNorm(3)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        x = self.block(self.stem(x))
        x = torch.cat([self.left(x), self.right(x)], dim=1)
        x = self.dropout(self.groups(self.pool(x)))
        x = F.adaptive_avg_pool2d(x, 1)
        return self.head(self.norm(x.view(x.size(0), -1)))


class Attention(nn.Module):
    """What has no layers: one head of attention over four places."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(3, 3)
        self.key = nn.Linear(3, 3, bias=False)
        self.value = nn.Linear(3, 3)
        self.norm = nn.LayerNorm(3)
        self.head = nn.Linear(3, 3)

    def forward(self, x):
        scores = self.query(x) @ self.key(x).transpose(1, 2)
        x = x + torch.softmax(scores, dim=-1) @ self.value(x)
        return self.head(self.norm(x).mean(dim=1))


def trained(module: nn.Module) -> nn.Module:
    """The module with running statistics as training leaves them, not 0 and 1."""
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(m.running_mean, -0.5, 0.5)
            nn.init.uniform_(m.running_var, 0.5, 1.5)
    return module.eval()


def data(shape: tuple[int, ...], classes: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(shape, generator=generator).to(dtype)
    y = torch.randint(classes, shape[:1], generator=generator)
    return x, y


def loss_of(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(module(x), y)


def signs(parameters: list[torch.Tensor], seed: int) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    return [(torch.rand(1, *p.shape, dtype=p.dtype) < 0.5)[0].to(p.dtype) * 2 - 1 for p in parameters]


def ordered(module: nn.Module, x: torch.Tensor) -> list[tuple[str, nn.Parameter]]:
    """The parameters in the order of the runner."""
    parameters = dict(module.named_parameters())
    return [(name, parameters[name]) for name in exported(module, x).tensors if name in parameters]


def quadratic(module: nn.Module, parameters: list[nn.Parameter], x, y, seed: int) -> float:
    gradient = torch.autograd.grad(loss_of(module, x, y), parameters, create_graph=True)
    v = signs(parameters, seed)
    inner = sum((g * v).sum() for g, v in zip(gradient, v))
    product = torch.autograd.grad(inner, parameters)
    return sum((h * v).sum().double() for h, v in zip(product, v)).item()


def exact_traces(module: nn.Module, parameters: list[nn.Parameter], x, y) -> list[float]:
    gradient = torch.autograd.grad(loss_of(module, x, y), parameters, create_graph=True)
    traces = []
    for g, p in zip(gradient, parameters):
        rows = [torch.autograd.grad(e, p, retain_graph=True)[0].flatten()[i] for i, e in enumerate(g.flatten())]
        traces.append(sum(rows).item())
    return traces


def run(runner: str, folder: Path, spec: dict[str, Any]) -> list[dict[str, str]]:
    (folder / "run.toml").write_text(toml.dumps(spec))
    command = [runner, str(folder / "run.toml"), "--out", str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{done.stderr}")
    with open(folder / "out" / "records.csv") as file:
        return list(csv.DictReader(file))


def written(module: nn.Module, x: torch.Tensor, y: torch.Tensor, folder: Path) -> dict[str, Any]:
    """Writes weights and data; returns the beginning of a spec."""
    found = exported(module, x)
    save_file(on_disk(found.weights), folder / "model.safetensors")
    save_file({"x": x, "y": y}, folder / "data.safetensors")
    return {
        "dtype": str(next(module.parameters()).dtype).removeprefix("torch."),
        "data": {"source": "safetensors", "path": "data.safetensors"},
        "model": {"weights": "model.safetensors"} | found.section,
        "loss": {"kind": "mse" if y.is_floating_point() else "cross_entropy"},
        "sampling": SAMPLING,
    }


def compare(runner: str, name: str, module: nn.Module, shape, dtype, products, exact=False) -> None:
    module = trained(module.to(dtype))
    x, y = data(shape, 3 if exact else 10, dtype)
    estimators = [{"kind": "hutchinson", "blocks": "full", "product": product} for product in products]
    estimators += [{"kind": "exact"}] if exact else []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = run(runner, folder, written(module, x, y, folder) | {"estimator": estimators})
    parameters = [p for _, p in ordered(module, x)]
    tolerance = 1e-9 if dtype == torch.float64 else 2e-3
    for row in rows:
        if row["estimator"] == "exact":
            wanted = sum(exact_traces(module, parameters, x, y))
        else:
            wanted = quadratic(module, parameters, x, y, int(row["seed"]))
        found = float(row["estimate"])
        error = abs(found - wanted) / max(abs(wanted), 1.0)
        words = row["product"] or "exact"
        print(f"{name}, {words}, seed {row['seed'] or '-'}: {found:.9g}, PyTorch {wanted:.9g}")
        if not error < tolerance:
            sys.exit(f"{name}, {words}: relative error {error:.2g}, expected below {tolerance:g}")


def write_fixture(folder: Path) -> None:
    """The small network, its data, and PyTorch's loss and traces in float64."""
    torch.manual_seed(0)
    module = trained(Small().double())
    x, y = data((4, 1, 6, 5), 3, torch.float64)
    export_layers(module, folder, x=x)
    save_file({"x": x, "y": y}, folder / "data.safetensors")
    named = ordered(module, x)
    traces = exact_traces(module, [p for _, p in named], x, y)
    expected = {
        "torch": torch.__version__,
        "loss": loss_of(module, x, y).item(),
        "traces": {name: trace for (name, _), trace in zip(named, traces)},
        "attention": write_script(folder),
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def write_script(folder: Path) -> dict[str, float]:
    """A TorchScript module with its data; the exact traces of its parameters."""
    module = Attention().double().eval()
    x, y = data((5, 4, 3), 3, torch.float64)
    torch.jit.script(module).save(folder / "attention.pt")
    save_file({"x": x, "y": y}, folder / "attention.safetensors")
    named = list(module.named_parameters())
    traces = exact_traces(module, [p for _, p in named], x, y)
    return {name: trace for (name, _), trace in zip(named, traces)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runner", nargs="?")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--fixture", type=Path)
    arguments = parser.parse_args()
    if arguments.fixture:
        write_fixture(arguments.fixture)
        return
    runner = arguments.runner or parser.error("name the runner, for example target/release/runner")
    every = ["autodiff", "hmp", "forward"]
    torch.manual_seed(0)
    compare(runner, "small", Small(), (4, 1, 6, 5), torch.float64, every, exact=True)
    resnet = torchvision.models.resnet18(num_classes=10)
    compare(runner, "resnet18", resnet, (2, 3, 32, 32), torch.float64, every)
    if arguments.large:
        vgg = torchvision.models.vgg11(num_classes=10)
        compare(runner, "vgg11", vgg, (1, 3, 32, 32), torch.float32, ["hmp"])
    print("check_export: all agree")


if __name__ == "__main__":
    main()
