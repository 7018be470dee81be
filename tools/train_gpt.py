#!/usr/bin/env python3
"""Trains a character GPT on Python's own documentation and saves checkpoints as safetensors.

    python tools/train_gpt.py OUT_FOLDER

The text is pydoc_data.topics of the standard library: the language reference that `help("if")` shows
(Python Software Foundation License 2; 0.7 million characters). Its 64 most frequent characters are tokens, all
others are one more. The network has nanoGPT's layout: 4 layers, 128 features, 4 heads, 64 positions,
818,176 parameters, none of them tied. AdamW, 12 sequences a step, learning rate 1e-3 with 100 steps of warm-up
and a cosine down to 1e-4; a checkpoint, rounded to float16, at each of STEPS. Two minutes on two cores.

Needs torch and safetensors. `experiments/gpt/` was written by this under Python 3.11.7.
"""

import math
import sys
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

STEPS = [100, 1500]
TOKENS, POSITIONS, FEATURES, HEADS, LAYERS = 65, 64, 128, 4, 4
SEQUENCES, RATE, WARMUP = 12, 1e-3, 100
SAVED = 32


class PositionalEmbedding(nn.Module):
    """Adds a vector for every position."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(POSITIONS, FEATURES))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight[: x.shape[1]]


class Attention(nn.Module):
    """Causal attention over queries, keys and values side by side; no parameters."""

    def forward(self, x: Tensor) -> Tensor:
        heads = [part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in x.chunk(3, dim=2)]
        output = functional.scaled_dot_product_attention(*heads, is_causal=True)
        return output.transpose(1, 2).flatten(2)


class Residual(nn.Module):
    """Layers added to their input; parameters are named as the runner names those of a `residual`."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def network() -> nn.Sequential:
    """The GPT, initialised as nanoGPT does."""
    layers: list[nn.Module] = [nn.Embedding(TOKENS, FEATURES), PositionalEmbedding()]
    for _ in range(LAYERS):
        attention = nn.Linear(FEATURES, 3 * FEATURES), Attention(), nn.Linear(FEATURES, FEATURES)
        wide = nn.Linear(FEATURES, 4 * FEATURES), nn.GELU(), nn.Linear(4 * FEATURES, FEATURES)
        layers.append(Residual(nn.LayerNorm(FEATURES), *attention))
        layers.append(Residual(nn.LayerNorm(FEATURES), *wide))
    model = nn.Sequential(*layers, nn.LayerNorm(FEATURES), nn.Linear(FEATURES, TOKENS, bias=False))
    for name, p in model.named_parameters():
        if p.dim() == 2:
            last = name.endswith("body.3.weight")
            nn.init.normal_(p, std=0.02 / math.sqrt(2 * LAYERS) if last else 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(p)
    return model


def text_as_tokens() -> Tensor:
    """The text in the order of its topics' names; 64 is every character that is not frequent."""
    text = "\n".join(topics[name] for name in sorted(topics))
    frequent = [c for c, _ in sorted(Counter(text).items(), key=lambda item: (-item[1], item[0]))]
    tokens = {c: i for i, c in enumerate(sorted(frequent[: TOKENS - 1]))}
    return torch.tensor([tokens.get(c, TOKENS - 1) for c in text])


def sequences(text: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences from anywhere in the text, and the same one character on."""
    starts = torch.randint(len(text) - POSITIONS, (count,), generator=generator)
    rows = starts.unsqueeze(1) + torch.arange(POSITIONS + 1)
    return text[rows[:, :-1]], text[rows[:, 1:]]


def rate(step: int) -> float:
    """The learning rate as a part of RATE."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    along = (step - WARMUP) / (max(STEPS) - WARMUP)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * along))


def main(out: Path) -> None:
    torch.manual_seed(0)
    text, model = text_as_tokens(), network()
    train, rest = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    out.mkdir(parents=True, exist_ok=True)
    x, y = sequences(train, SAVED, torch.Generator().manual_seed(1))
    save_file({"x": x.contiguous(), "y": y.contiguous()}, out / "data.safetensors")

    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    for step in range(max(STEPS) + 1):
        if step in STEPS:
            weights = {name: w.half() for name, w in model.state_dict().items()}
            save_file(weights, out / f"step_{step}.safetensors")
            with torch.no_grad():
                unseen, after = sequences(rest, 200, torch.Generator().manual_seed(2))
                loss = functional.cross_entropy(model(unseen).transpose(1, 2), after)
            print(f"step {step}: loss of unseen text {loss:.3f} nats a character", flush=True)
        x, y = sequences(train, SEQUENCES, generator)
        optimiser.zero_grad()
        functional.cross_entropy(model(x).transpose(1, 2), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
