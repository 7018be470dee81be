#!/usr/bin/env python3
"""Puts what README and docs show of results/ in its place, or says what is old: refresh_docs.py [--check]

A table stands between `<!-- from PATH -->` and `<!-- end -->`, with the contents of the file PATH. A figure of
docs/figures/ is a copy, since a site can only show what lies in its own folder.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = {
    "error.svg": "results/compare/mlp_example/error.svg",
    "seconds.svg": "results/compare/mlp_example/seconds.svg",
    "convergence.svg": "results/convergence/convergence.svg",
    "panel.svg": "results/panel/error_seconds.svg",
    "suite.svg": "results/xtrace_suite/error_products.svg",
    "timing.svg": "results/timing/timing.svg",
    "layers.svg": "results/layers/layers.svg",
    "trajectory.svg": "results/trajectory/trajectory.svg",
    "gpt.svg": "results/gpt/convergence.svg",
    "gpt_layers.svg": "results/gpt/trajectory.svg",
    "density.svg": "results/spectrum/density.svg",
    "variance.svg": "results/spectrum/variance.svg",
}
BLOCK = re.compile(r"(<!-- from (\S+) -->\n).*?(<!-- end -->)", re.S)


def main():
    wanted = {}
    for name, source in FIGURES.items():
        wanted[ROOT / "docs/figures" / name] = (ROOT / source).read_text(encoding="utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        filled = lambda m: m[1] + "\n" + (ROOT / m[2]).read_text(encoding="utf-8").strip() + "\n\n" + m[3]
        wanted[page] = BLOCK.sub(filled, page.read_text(encoding="utf-8"))
    old = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in old:
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        print(path.relative_to(ROOT))
    if old and "--check" in sys.argv[1:]:
        sys.exit("these do not show what is in results/: run scripts/refresh_docs.py")


main()
