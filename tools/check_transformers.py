#!/usr/bin/env python3
"""Checks exported transformers of Hugging Face's against PyTorch: vᵀAv in float64, relative error below 1e-9.

    python tools/check_transformers.py RUNNER

Small configurations of GPT2LMHeadModel (untied), BertForSequenceClassification, ViTForImageClassification
and LlamaForCausalLM, with random weights, are exported; `RUNNER` computes vᵀAv of the whole Hessian,
Gauss-Newton and empirical Fisher matrix by every product, with the random signs v that PyTorch draws from the same
seed. On the module itself curvlinops computes the same for the Gauss-Newton and Fisher matrix, and double backward
for the Hessian: that of curvlinops 3 is forward over reverse, for which PyTorch 2.11 has a wrong derivative by the weight
of a layer norm (finite differences agree with double backward). Needs torch, transformers, curvlinops, safetensors.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")

import curvlinops
import torch
import transformers
from safetensors.torch import save_file
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
from curvature_runner import toml
from curvature_runner.export import Exported, exported, on_disk

OPERATORS = {
    "ggn": curvlinops.GGNLinearOperator,
    "fisher_empirical": curvlinops.EFLinearOperator,
}
MATRICES = ["hessian", *OPERATORS]
SEEDS = [0, 1]


class Logits(nn.Module):
    """The logits, those of every position as a row of its own."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.model(x).logits
        return logits.flatten(0, -2)


class Rotary(nn.Module):
    """Llama's angles in float64; Hugging Face's, and its norms, are in float32 whatever the model's dtype."""

    def __init__(self, d: int, base: float):
        super().__init__()
        self.d, self.base = d, base

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frequencies = self.base ** (-torch.arange(0, self.d, 2).double() / self.d)
        angles = position_ids.double()[:, :, None] * frequencies
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos(), angles.sin()


def models() -> Iterator[tuple[str, nn.Module, torch.Tensor]]:
    # None pads: of a padding token forward differentiation, which curvlinops uses, has a derivative, and backward none.
    tokens = torch.randint(1, 20, (3, 6))
    gpt = {"vocab_size": 20, "n_positions": 8, "n_embd": 12, "n_layer": 2, "n_head": 3}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    config = transformers.GPT2Config(**gpt, **ends, tie_word_embeddings=False)
    yield "GPT-2", transformers.GPT2LMHeadModel(config), tokens
    block = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 10}
    config = transformers.BertConfig(vocab_size=20, max_position_embeddings=8, num_labels=4, **block)
    yield "BERT", transformers.BertForSequenceClassification(config), tokens
    config = transformers.ViTConfig(image_size=6, patch_size=3, num_labels=4, **block)
    yield "ViT", transformers.ViTForImageClassification(config), torch.randn(3, 3, 6, 6).double()
    config = transformers.LlamaConfig(
        vocab_size=20, max_position_embeddings=8, num_key_value_heads=1, head_dim=4, tie_word_embeddings=False, **block
    )
    llama = transformers.LlamaForCausalLM(config)
    llama.model.rotary_emb = Rotary(4, 10000.0)
    for norm in (m for m in llama.modules() if type(m).__name__ == "LlamaRMSNorm"):
        norm.forward = lambda x, m=norm: m.weight * (x * (x.square().mean(-1, keepdim=True) + m.variance_epsilon).rsqrt())
    yield "Llama", llama, tokens


def signs(found: Exported, names: list[str], seed: int) -> dict[str, torch.Tensor]:
    """The runner's vector in the shapes of the module, by name."""
    torch.manual_seed(seed)
    v = {}
    for name in names:
        shape = found.tensors[name].tensor.shape
        drawn = (torch.rand(1, *shape, dtype=torch.float64) < 0.5)[0].double() * 2 - 1
        v[name] = found.restore(name, drawn)
    return v


def reference(module: nn.Module, x: torch.Tensor, y: torch.Tensor, v: dict[str, torch.Tensor], matrix: str) -> float:
    parameters = dict(module.named_parameters())
    used = [parameters[name] for name in v]
    with sdpa_kernel(SDPBackend.MATH):
        if matrix == "hessian":
            loss = nn.functional.cross_entropy(Logits(module)(x), y.flatten())
            gradient = torch.autograd.grad(loss, used, create_graph=True)
            inner = sum((a * b).sum() for a, b in zip(gradient, v.values()))
            product = torch.autograd.grad(inner, used)
            return sum(float((a * b).sum()) for a, b in zip(product, v.values()))
        operator = OPERATORS[matrix](
            Logits(module).eval(),
            nn.CrossEntropyLoss(),
            used,
            [(x, y.flatten())],
            check_deterministic=False,
            batch_size_fn=lambda _: y.numel(),
        )
        product = operator @ list(v.values())
    return sum(float((a * b).sum()) for a, b in zip(product, v.values()))


def run(runner: str, folder: Path, found: Exported, x: torch.Tensor, y: torch.Tensor) -> list[dict[str, str]]:
    save_file(on_disk(found.weights), folder / "model.safetensors")
    save_file({"x": x, "y": y}, folder / "data.safetensors")
    spec = {
        "dtype": "float64",
        "data": {"source": "safetensors", "path": "data.safetensors"},
        "model": {"weights": "model.safetensors"} | found.section,
        "loss": {"kind": "cross_entropy"},
        "sampling": {"V": 1, "V_batch": 1, "seeds": SEEDS, "stream": "torch"},
        "estimator": [
            {"kind": "hutchinson", "blocks": "full", "product": product, "matrix": matrix}
            for product in ("autodiff", "hmp", "forward")
            for matrix in MATRICES
        ],
    }
    (folder / "run.toml").write_text(toml.dumps(spec))
    done = subprocess.run([runner, folder / "run.toml", "--out", folder / "out"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}")
    with open(folder / "out" / "records.csv") as file:
        return list(csv.DictReader(file))


def main(runner: str) -> None:
    torch.manual_seed(0)
    worst = 0.0
    for name, module, x in models():
        module = module.double().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
            positions = module(x).logits.dim() == 3
        y = torch.randint(20 if positions else 4, x.shape if positions else x.shape[:1])
        found = exported(module, x)
        names = [n for n in found.tensors if n in dict(module.named_parameters())]
        with tempfile.TemporaryDirectory() as folder:
            rows = run(runner, Path(folder), found, x, y)
        wanted = {
            (matrix, seed): reference(module, x, y, signs(found, names, seed), matrix)
            for matrix in MATRICES
            for seed in SEEDS
        }
        for row in rows:
            expected, estimate = wanted[row["matrix"], int(row["seed"])], float(row["estimate"])
            error = abs(estimate - expected) / max(abs(expected), 1.0)
            worst = max(worst, error)
            print(f"{name}, {row['matrix']}, {row['product']}, seed {row['seed']}: {estimate:.12g}, PyTorch {expected:.12g}")
            if not error < 1e-9:
                sys.exit(f"check_transformers: relative error {error:.2g}, expected below 1e-9")
    print(f"check_transformers: all agree, largest relative error {worst:.1g}")


if __name__ == "__main__":
    main(sys.argv[1])
