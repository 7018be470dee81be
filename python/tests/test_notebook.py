"""The notebook of the examples runs, and says what its text says."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "quantisation.ipynb"


def test_layers_of_small_trace_bear_rounding():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = "".join(output.text for output in outputs if output.get("name") == "stdout")
    found = re.findall(r"where the (\w+) growth is predicted: .*: ([\d.]+) % right", said)
    right = {words: float(percent) for words, percent in found}
    assert right["least"] > right["most"], said
    shown = [output.data for output in outputs if output.output_type == "execute_result"]
    assert all(word in shown[0]["text/html"] for word in ("trace ", "conv1.weight", "<svg"))
