#!/usr/bin/env python3
"""Trains the example network (784-20-10, sigmoid) on MNIST and saves checkpoints as safetensors.

    python tools/train_mnist.py OUT_FOLDER

Plain SGD, batch 128, learning rate 0.5, 700 steps, seed 0; a checkpoint at the steps in
STEPS. Needs torch, numpy and safetensors. `experiments/checkpoints/` was written by this.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

STEPS = [0, 5, 20, 80, 300, 700]
BATCH = 128
RATE = 0.5
ROOT = Path(__file__).resolve().parent.parent / "data" / "mnist"


def read_idx(name: str, header: int) -> np.ndarray:
    """The values of a gzipped IDX file of bytes, without its header."""
    with gzip.open(ROOT / f"{name}.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def main(out: Path) -> None:
    images = read_idx("train-images-idx3-ubyte", 16).reshape(-1, 784)
    labels = read_idx("train-labels-idx1-ubyte", 8)
    x = (torch.from_numpy(images.copy()).float() / 255 - 0.1307) / 0.3081
    y = torch.from_numpy(labels.copy()).long()

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(784, 20, bias=False),
        torch.nn.Sigmoid(),
        torch.nn.Linear(20, 10, bias=False),
    )
    loss_of = torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    out.mkdir(parents=True, exist_ok=True)
    batches = iter(())
    for step in range(max(STEPS) + 1):
        if step in STEPS:
            with torch.no_grad():
                loss = loss_of(model(x), y).item()
            save_file(model.state_dict(), out / f"step_{step}.safetensors")
            print(f"step {step}: loss of the training set {loss:.4f}")
        rows = next(batches, None)
        if rows is None or len(rows) < BATCH:
            batches = iter(torch.randperm(len(x)).split(BATCH))
            rows = next(batches)
        optimiser.zero_grad()
        loss_of(model(x[rows]), y[rows]).backward()
        optimiser.step()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
