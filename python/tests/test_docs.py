"""Every block of Python in README and docs runs, page by page, as a reader would run it."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import curvature_runner

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda p: p.name)
def test_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    # What a page may take for granted.
    names = {
        "curvature_runner": curvature_runner,
        "torch": torch,
        "model": nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)),
        "x": torch.randn(8, 4),
        "y": torch.randint(2, (8,)),
        "step": 0,
    }
    for code in BLOCK.findall(page.read_text()):
        exec(compile(code, str(page), "exec"), names)
